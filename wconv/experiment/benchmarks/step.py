"""Benchmark a training step of train.py against the same step in a bare loop with batches ready in memory."""

import argparse
import copy
import time
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import nn

from wconv.experiment.benchmarks.pairs import Quartiles, add_pair_arguments, ratio, timer_of
from wconv.experiment.benchmarks.prepared_run import QUARTER_VGG, add_data_argument, images_of_classes, prepared_run
from wconv.experiment.benchmarks.tables import Row

WARM_UP = 10  # steps
DRAWN = 6000  # images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_pair_arguments(parser, pairs=200)
    add_data_argument(parser)
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="as for train.py, e.g. fast=true")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure the networks of the targets, and a single-layer network, whose step is nearly all overhead.

    Returns:
        One row per network: the ratio, and the extra milliseconds per step.
    """
    timer_of(arguments.device)  # refuses a missing GPU
    choice, name = images_of_classes(arguments.data, DRAWN)
    words = [*choice, f"trainer.accelerator={'gpu' if arguments.device == 'cuda' else 'cpu'}", *arguments.overrides]
    layer = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))
    networks = {"VGG-16, width 0.25": None, "one linear layer": layer}
    rows = []
    for network, model in networks.items():
        inside, bare = step_seconds([*QUARTER_VGG, *words], model, arguments.pairs)
        rows.append(
            {
                "network": network,
                "batch": f"128 of {name}",
                "train.py / bare loop": ratio(inside, bare),
                "ms a step more": Quartiles.of([1000 * (one - other) for one, other in zip(inside, bare, strict=True)]),
                "ms of a bare step": 1000 * Quartiles.of(bare).median,
                "pairs": arguments.pairs,
            }
        )
    return rows


def step_seconds(words: Sequence[str], model: nn.Module | None, pairs: int) -> tuple[list[float], list[float]]:
    """Train, and return the seconds of each step and of the bare step run right after it.

    Args:
        words: overrides of a classification run.
        model: replaces the network that they name.
        pairs: number of pairs.
    """
    steps = ["trainer.max_epochs=1000", f"trainer.max_steps={pairs + WARM_UP}", "trainer.limit_val_batches=0"]
    with prepared_run([*words, *steps], model) as run:
        clock = AlternatingSteps()
        run.trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        run.fit()
    return clock.inside[-pairs:], clock.bare[-pairs:]


class AlternatingSteps(pl.Callback):
    """Run a bare step after each step of the trainer, on a copy of the network with the same batch, and time both.

    A step of the trainer is everything between the ends of two batches: fetching the batch, all hooks and callbacks.
    The first step of an epoch is skipped, because it includes the end of the epoch before.

    Attributes:
        inside: seconds of the trainer's steps.
        bare: seconds of the bare steps.
    """

    def __init__(self) -> None:
        self.inside: list[float] = []
        self.bare: list[float] = []
        self.start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        """Copy the network, on its device and in its memory format."""
        self.model = copy.deepcopy(pl_module.model).train()
        self.optimizer = pl_module.optimizer(self.model.parameters())

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record the time of the step, then run and time the bare one."""
        end = self._now(pl_module)
        autocast = trainer.precision_plugin.forward_context
        images, labels = batch
        self.optimizer.zero_grad()
        with autocast():
            loss = F.cross_entropy(self.model(images), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        if batch_idx:
            self.inside.append(end - self.start)
            self.bare.append(self._now(pl_module) - end)
        self.start = self._now(pl_module)

    @staticmethod
    def _now(pl_module: pl.LightningModule) -> float:
        if pl_module.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
