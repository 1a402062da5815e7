"""Progress as plain lines, for logs; on a terminal Lightning's rich bar shows it."""

import sys
import time
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ProgressBar, RichProgressBar


def progress_bar(every_seconds: float) -> ProgressBar:
    """Return the progress display that fits the standard output."""
    return RichProgressBar(leave=True) if sys.stdout.isatty() else PlainProgress(every_seconds)


class PlainProgress(ProgressBar):
    """Print a line after every epoch, and one every so often inside long ones.

    Args:
        every_seconds: least time between two lines inside an epoch.
    """

    def __init__(self, every_seconds: float) -> None:
        super().__init__()
        self.every_seconds = every_seconds
        self.last_line = time.monotonic()
        self.shown = True

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        """Print how far the epoch is."""
        if time.monotonic() - self.last_line >= self.every_seconds:
            batch = trainer.fit_loop.epoch_loop.batch_idx + 1
            self._print(trainer, f"batch {batch}/{self.total_train_batches}")

    def on_test_batch_end(
        self, trainer: pl.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Print how far the test is."""
        if self.shown and time.monotonic() - self.last_line >= self.every_seconds:
            self.last_line = time.monotonic()
            print(f"test  batch {batch_idx + 1}/{trainer.num_test_batches[0]}", flush=True)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print what the epoch ended with."""
        values = {name: float(value) for name, value in trainer.callback_metrics.items()}
        shown = [f"{name} {values[name]:.4g}" for name in sorted(values) if name.startswith(("train/", "val/"))]
        self._print(trainer, "  ".join(shown))

    def _print(self, trainer: pl.Trainer, text: str) -> None:
        self.last_line = time.monotonic()
        if self.shown:
            print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {text}", flush=True)

    def disable(self) -> None:
        """Print no more; Lightning calls it on all processes but the first."""
        self.shown = False

    def enable(self) -> None:
        """Print again."""
        self.shown = True
