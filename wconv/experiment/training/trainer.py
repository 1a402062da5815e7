"""Build the trainer from the configuration, with all callbacks and loggers that write to the run folder."""

import pytorch_lightning as pl
from omegaconf import DictConfig, OmegaConf

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.reports.wandb.callback import wandb_logger_and_callback
from wconv.experiment.runs.checkpoint_io import AtomicCheckpointIO
from wconv.experiment.runs.run import Run
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.progress import progress_bar
from wconv.experiment.tasks.task import Task
from wconv.experiment.training.batch_seeding import BatchSeeding
from wconv.experiment.training.execution import CompiledTraining
from wconv.experiment.training.guard import Guard
from wconv.experiment.training.image_results import ImageResults
from wconv.experiment.training.metrics_csv import MetricsCSV
from wconv.experiment.training.model_checkpoint import RelocatableCheckpoint
from wconv.experiment.training.profile import Profile
from wconv.experiment.training.timing import Timing


def build_trainer(config: DictConfig, run: Run, task: Task, files: AtomicCheckpointIO) -> pl.Trainer:
    """Build the trainer.

    Args:
        config: the composed configuration.
        run: its folder is written to.
        task: to train.
        files: checkpoint IO.

    Raises:
        ConfigError: the batch size is not a multiple of the number of devices.
    """
    callbacks: list[pl.Callback] = [
        RelocatableCheckpoint(run.checkpoints, "best", monitor=task.monitor, mode=task.mode),
        RelocatableCheckpoint(run.checkpoints, "last"),
        BatchSeeding(config.seed),
        Timing(run.directory / "timing.csv"),
        ImageResults(run.directory),
        Guard(run.checkpoints, config.callbacks.checkpoint.every_seconds),
    ]
    if config.trainer.profile:
        callbacks.append(Profile(run.directory))
    if config.compile:
        callbacks.append(CompiledTraining())
    if config.trainer.enable_progress_bar:
        callbacks.append(progress_bar(config.callbacks.progress.every_seconds))
    wandb_loggers, wandb_callbacks = wandb_logger_and_callback(config, run)
    trainer: pl.Trainer = instantiate_group(
        OmegaConf.masked_copy(config.trainer, [key for key in config.trainer if key != "profile"]),
        callbacks=[*callbacks, *wandb_callbacks],
        logger=[MetricsCSV(run.directory / "metrics.csv"), *wandb_loggers],
        plugins=[files],
        default_root_dir=str(run.directory),
    )
    if config.datamodule.batch_size % trainer.world_size:
        raise ConfigError(
            f"datamodule.batch_size={config.datamodule.batch_size} is for all {trainer.world_size} devices "
            "together and must be a multiple of their number"
        )
    return trainer
