"""Train one configuration: data -> model -> conversion -> fit -> test -> results.json."""

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytorch_lightning as pl
from omegaconf import DictConfig
from torch import nn

from wconv.experiment.common.checkout import relative_overrides, resolve_paths
from wconv.experiment.common.failures import configuration_errors, log_failure
from wconv.experiment.common.library_output import quiet_libraries
from wconv.experiment.reports.wandb.callback import finish_wandb
from wconv.experiment.runs.checkpoint_io import AtomicCheckpointIO
from wconv.experiment.runs.result import Result
from wconv.experiment.runs.run import Run
from wconv.experiment.tasks.arms import kernel_sizes
from wconv.experiment.tasks.build_task import build_task, check_compatibility
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import build_model, count_macs, describe
from wconv.experiment.training import batch_checks, preflight
from wconv.experiment.training.execution import set_memory_format
from wconv.experiment.training.results import draw_curves, write_completed_results
from wconv.experiment.training.resume import best_checkpoint, resume_checkpoint
from wconv.experiment.training.trainer import build_trainer


def train(config: DictConfig, typed: Sequence[str] = ()) -> Result:
    """Train and test one configuration, or read its result if it is finished.

    Args:
        config: the composed configuration, with checked values.
        typed: the overrides it was composed with, which results.json records; those without effect cause a warning.

    Raises:
        RunError: the run failed, was stopped, or is invalid; the message is one sentence.
    """
    with quiet_libraries():
        with configuration_errors():
            check_compatibility(config)
            absolute = resolve_paths(config)
            pl.seed_everything(config.seed, verbose=False)
            data = instantiate_group(absolute.datamodule)
            run = Run(config, data.fingerprint(), Path(absolute.paths.output_dir))
            if run.is_completed and not config.force:
                return Result(run.directory, run.results, was_there=True)
        with log_failure(run.directory), configuration_errors():
            data.load()
            preflight.check(absolute, run, data)
            model = build_model(config, **data.model_arguments)
            _warn_of_unused_densities(typed, model)
            macs = count_macs(model, data.channels, data.image_size, config.model.get("stem"))
            run.facts = describe(model) | {"macs": macs, "overrides": relative_overrides(typed)}
            task = build_task(config, model, **data.task_arguments)
            set_memory_format(config, task)
            files = AtomicCheckpointIO()
            trainer = build_trainer(absolute, run, task, files)
            batch_checks.check(absolute, data, trainer.world_size)
        with finish_wandb(trainer), run.acquire() as to_do:
            if to_do:
                resume = resume_checkpoint(run, trainer, files)
                trainer.fit(task, data, ckpt_path=resume, weights_only=True)
                best = best_checkpoint(run, files)
                trainer.test(task, data, ckpt_path=best, weights_only=True, verbose=False)
                write_completed_results(run, trainer, task)
        draw_curves(run)
        return Result(run.directory, run.results)


def _warn_of_unused_densities(typed: Iterable[str], model: nn.Module) -> None:
    """Warn about typed densities for kernel sizes that no layer has; the defaults of an arm are ignored."""
    present = {f"k{size}" for size in kernel_sizes(model)}
    for line in typed:
        key, _, value = line.partition("=")
        size = key.removeprefix("conv.density.")
        if size != key and size not in present:
            warnings.warn(f"{key}={value}: no layer has a kernel size {size.removeprefix('k')}", stacklevel=2)
