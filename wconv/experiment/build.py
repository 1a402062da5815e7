"""From the configuration to the parts of a run."""

import inspect
import warnings
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, OmegaConf
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import wconv
from wconv.experiment.batch_stream import BatchStream
from wconv.experiment.checkpoint import Checkpoint
from wconv.experiment.checkpoint_files import CheckpointFiles
from wconv.experiment.density_recipe import DensityRecipe
from wconv.experiment.errors import ConfigError, one_line
from wconv.experiment.guard import Guard
from wconv.experiment.image_results import ImageResults
from wconv.experiment.metrics_csv import MetricsCSV
from wconv.experiment.progress import progress
from wconv.experiment.run import Run
from wconv.experiment.task import Task
from wconv.experiment.timing import Timing
from wconv.experiment.wandb_callback import wandb_parts_of


def make(group: DictConfig, **more: Any) -> Any:
    """Instantiate what a group of the configuration names; its `name` is for people."""
    arguments = OmegaConf.to_container(group, resolve=True)
    assert isinstance(arguments, dict)
    arguments.pop("name", None)
    return instantiate(arguments, **more, _convert_="object")


def with_absolute_paths(config: DictConfig, root: Path) -> DictConfig:
    """Return a copy whose paths start at `root` where they are relative."""
    absolute = config.copy()
    for key, value in config.paths.items():
        absolute.paths[key] = str(root / str(value))
    return absolute


def check_fit(config: DictConfig) -> None:
    """Check that data, task and model belong together.

    Raises:
        ConfigError: they do not, and what does.
    """
    data: Any = get_class(config.datamodule._target_)
    data_task, task, model = data.task, config.task.name, config.model.name
    is_classifier = "num_classes" in inspect.signature(get_class(config.model._target_)).parameters
    if is_classifier != (task == "classification"):
        raise ConfigError(f"model={model} does not go with task={task}; the model brings its task along: drop task=")
    if data_task != task:
        sets = {"classification": "cifar100, class_folder or synthetic_classes"}
        fitting = sets.get(task, "div2k, image_folder or synthetic_images")
        raise ConfigError(
            f"datamodule={config.datamodule.name} is for {data_task}, and model={model} for {task}; "
            f"choose datamodule={fitting}"
        )


def build_model(config: DictConfig, **of_data: Any) -> nn.Module:
    """Make the backbone, start its weights, then change its convolutions.

    The weights come from a stream of their own and are drawn before the convolutions are changed, so all arms of a
    comparison start from the same W, and no later draw depends on the model.

    Args:
        config: the composed configuration.
        **of_data: what the data tells a model, such as the number of channels.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model: nn.Module = make(config.model, **of_data)
        make(config.init)(model)
    return apply_conv(model, config.conv)


def apply_conv(model: nn.Module, conv: DictConfig) -> nn.Module:
    """Make the convolutions standard, weighted (fixed or trained), or standard but started from W * Phi."""
    if conv.name == "standard":
        return model
    density: dict[int | tuple[int, ...], Any] = {
        int(str(key).removeprefix("k")): OmegaConf.to_object(value) if OmegaConf.is_config(value) else value
        for key, value in conv.density.items()
        if value is not None
    }
    # The densities that conv=weighted brings for kernel sizes this backbone lacks deserve no warning.
    present = {size for layer in wconv.summary(model) for size in layer.kernel_size}
    chosen = {size: value for size, value in density.items() if size in present or _asked_for(f"k{size}")}
    trainable: bool | Literal["shared"] = conv.name == "trainable"
    if trainable and conv.share:
        trainable = "shared"
    model = wconv.convert(model, chosen, trainable=trainable)
    if not present & chosen.keys():
        warnings.warn(f"conv={conv.name}: no kernel of this model has a density, so it stays standard", stacklevel=2)
    return wconv.fold(model) if conv.name == "scaled_init" else model


def _asked_for(key: str) -> bool:
    overrides = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return any(override.startswith(f"conv.density.{key}=") for override in overrides)


def count_macs(model: nn.Module, channels: int, image_size: int) -> int:
    """Return the multiply-accumulates of one image.

    Raises:
        ConfigError: the model cannot take images of this size.
    """
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, channels, image_size, image_size))
    except RuntimeError as error:
        raise ConfigError(
            f"the model cannot take images of {image_size}x{image_size} pixels: {str(error).splitlines()[0]}"
        ) from error
    model.train(training)
    return int(counter.get_total_flops()) // 2


def build_task(config: DictConfig, model: nn.Module, **of_data: Any) -> Task:
    """Make the task around a model.

    Raises:
        ConfigError: the optimiser or the schedule refuses its values; both are tried before anything is started.
    """
    optimizer, scheduler = make(config.optimizer), make(config.scheduler)
    group = "optimizer"
    try:
        trial = optimizer(model.parameters())
        group = "scheduler"
        scheduler(trial, total_steps=100)
    except Exception as error:  # whatever PyTorch makes of the values
        raise ConfigError(f"{group}: {one_line(error)}") from error
    conv = config.conv
    density = None
    if wconv.density_parameters(model):
        density = DensityRecipe(conv.lr, conv.weight_decay, conv.restart_epochs, conv.restart_factor)
    task: Task = make(config.task, model=model, optimizer=optimizer, scheduler=scheduler, density=density, **of_data)
    return task


def build_trainer(config: DictConfig, run: Run, task: Task) -> pl.Trainer:
    """Make the trainer with the files it writes into the folder of the run."""
    callbacks: list[pl.Callback] = [
        Checkpoint(run.checkpoints, "best", monitor=task.monitor, mode=task.mode),
        Checkpoint(run.checkpoints, "last"),
        BatchStream(config.seed),
        Timing(run.directory / "timing.csv"),
        ImageResults(run.directory),
        Guard(run.checkpoints, config.callbacks.checkpoint.every_seconds),
    ]
    if config.trainer.enable_progress_bar:
        callbacks.append(progress(config.callbacks.progress.every_seconds))
    wandb, its_callbacks = wandb_parts_of(config, run)
    callbacks += its_callbacks
    logger = [MetricsCSV(run.directory / "metrics.csv"), *wandb]
    trainer: pl.Trainer = make(
        config.trainer,
        callbacks=callbacks,
        logger=logger,
        plugins=[CheckpointFiles()],
        default_root_dir=str(run.directory),
    )
    # Lightning wraps SIGTERM with a handler that broadcasts in the middle of whatever goes on, and with several
    # processes that hangs. Our handlers (see `signals`) stay; there is no public way to say so.
    trainer._signal_connector.register_signal_handlers = lambda: None  # type: ignore[method-assign]
    if config.datamodule.batch_size % trainer.world_size:
        raise ConfigError(
            f"datamodule.batch_size={config.datamodule.batch_size} is for all {trainer.world_size} devices "
            "together and must be a multiple of their number"
        )
    return trainer
