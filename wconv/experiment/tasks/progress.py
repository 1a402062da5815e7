"""Progress display: plain lines for logs, Lightning's rich progress bar on a terminal."""

import math
import sys
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar

LONG = 2 * 3600  # seconds; for longer runs, print which settings would be faster


def progress_bar(every_seconds: float) -> ProgressBar:
    """Return the progress display that fits the standard output."""
    return RichProgressBar(leave=True) if sys.stdout.isatty() else PlainProgress(every_seconds)


class PlainProgress(ProgressBar):
    """Print a line after every epoch, and at intervals within long epochs; each ends with the time left.

    Args:
        every_seconds: minimum time between lines within an epoch.
    """

    def __init__(self, every_seconds: float) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self.last_line = time.monotonic()
        self.shown = True
        self.steps = math.inf
        self.long_run_said = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print how much there is to do."""
        self.start, self.first_step = math.nan, trainer.global_step
        self.steps = trainer.estimated_stepping_batches
        if self.shown and trainer.global_step >= self.steps:
            print("the training is complete; now the test", flush=True)
        elif self.shown:
            epochs = f"{trainer.max_epochs} epoch{'s' * (trainer.max_epochs != 1)}"
            name = Path(trainer.default_root_dir).name  # names model, arm and seed, which differ within a grid
            print(f"training {name}: {epochs} of {trainer.num_training_batches} batches", flush=True)

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Print the progress of the epoch; the clock of the time left starts after the first batch, which warms up."""
        if math.isnan(self.start):
            self.start, self.first_step = time.monotonic(), trainer.global_step
        if time.monotonic() - self.last_line >= self.every_seconds:
            batch = trainer.fit_loop.epoch_loop.batch_idx + 1
            self._print(trainer, f"batch {batch}/{self.total_train_batches}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After the first epoch of a long run, print its duration and what would make it faster."""
        if self.long_run_said or not self.shown:
            return
        self.long_run_said = True
        if (seconds := self._seconds_left(trainer)) > LONG:
            ways = {
                "fast=true (a different run)": trainer.precision == "32-true",
                "a GPU": trainer.strategy.root_device.type == "cpu",
            }
            quicker = " or ".join(way for way, is_open in ways.items() if is_open)
            print(f"this run takes {_text(seconds)} more" + (f"; quicker: {quicker}" if quicker else ""), flush=True)

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Print the progress of the test."""
        if self.shown and time.monotonic() - self.last_line >= self.every_seconds:
            self.last_line = time.monotonic()
            print(f"test  batch {batch_idx + 1}/{trainer.num_test_batches[0]}", flush=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the metrics at the end of the epoch."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        shown = [f"{name} {values[name]:.4g}" for name in sorted(values) if name.startswith(("train/", "val/"))]
        self._print(trainer, "  ".join(shown))

    def _print(self, trainer: pl.Trainer, text: str) -> None:
        self.last_line = time.monotonic()
        if self.shown:
            seconds = self._seconds_left(trainer)
            left = f"  {_text(seconds)} left" if seconds else ""
            print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {text}{left}", flush=True)

    def _seconds_left(self, trainer: pl.Trainer) -> float:
        """Estimate the remaining time of the training, including validation; 0 if unknown."""
        steps = self.steps - trainer.global_step
        if not math.isfinite(steps) or trainer.global_step == self.first_step:
            return 0.0
        return (time.monotonic() - self.start) / (trainer.global_step - self.first_step) * steps

    def disable(self) -> None:
        """Stop printing; Lightning calls this in all processes but the first."""
        self.shown = False

    def enable(self) -> None:
        """Print again."""
        self.shown = True


def _text(seconds: float) -> str:
    """Format a duration for reading."""
    if seconds < 60:
        return f"{math.ceil(seconds)} s"
    return f"{math.ceil(seconds / 60)} min" if seconds < LONG else f"{seconds / 3600:.1f} h"
