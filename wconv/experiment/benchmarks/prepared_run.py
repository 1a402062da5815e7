"""Build a run as train.py does, without starting it, for benchmarks of its parts."""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch import nn

from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS, resolve_paths
from wconv.experiment.common.library_output import quiet_libraries
from wconv.experiment.runs.checkpoint_io import AtomicCheckpointIO
from wconv.experiment.runs.run import Run
from wconv.experiment.tasks.build_task import build_task
from wconv.experiment.tasks.instantiate import instantiate_group
from wconv.experiment.tasks.network import build_model
from wconv.experiment.tasks.task import Task
from wconv.experiment.training.execution import set_memory_format
from wconv.experiment.training.trainer import build_trainer

QUARTER_VGG = ["model=vgg", "model.width=0.25"]


@dataclass(frozen=True)
class PreparedRun:
    """A run that has not started.

    Attributes:
        trainer: with all callbacks except the progress bar.
        task: with the network.
        data: loaded.
    """

    trainer: pl.Trainer
    task: Task
    data: Any

    def fit(self) -> None:
        """Train."""
        self.trainer.fit(self.task, self.data)


@contextmanager
def prepared_run(words: Sequence[str], model: nn.Module | None = None) -> Iterator[PreparedRun]:
    """Build a run for a command line, in a temporary folder.

    Args:
        words: the overrides.
        model: replaces the network that they name.

    Raises:
        ConfigError: the overrides, or the data on the disk, are wrong.
    """
    with tempfile.TemporaryDirectory() as folder, quiet_libraries():
        words = [*words, f"paths.output_dir={folder}", "trainer.enable_progress_bar=false"]
        config = parse_command_line(words, CONFIGS).config
        assert config is not None
        config = resolve_paths(config)
        pl.seed_everything(config.seed, verbose=False)
        data = instantiate_group(config.datamodule)
        run = Run(config, data.fingerprint(), Path(folder))
        run.checkpoints.mkdir(parents=True)
        data.load()
        network = build_model(config, **data.model_arguments) if model is None else model
        task = build_task(config, network, **data.task_arguments)
        set_memory_format(config, task)
        yield PreparedRun(build_trainer(config, run, task, AtomicCheckpointIO()), task, data)


def add_data_argument(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the images."""
    parser.add_argument(
        "--data", metavar="DIR", help="folder that holds cifar-100-python/; without it images are drawn"
    )


def images_of_classes(data: str | None, drawn: int) -> tuple[list[str], str]:
    """Return the overrides for CIFAR-100 in a folder, or for `drawn` drawn images, and a name for them."""
    if data is None:
        return ["datamodule=synthetic_classes", f"datamodule.train_images={drawn}"], "drawn images of 32x32"
    return ["datamodule=cifar100", f"paths.data_dir={data}"], "CIFAR-100"
