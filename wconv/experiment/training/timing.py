"""Callback for timing.csv: seconds, images per second and memory of every epoch, kept out of metrics.csv."""

import resource
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from wconv.experiment.common.files import write_atomically
from wconv.experiment.runs.run_files import read_table


class Timing(pl.Callback):
    """Measure every epoch and write a row for it.

    Args:
        path: the file; rows of earlier processes of the same run are kept.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images = 0
        self.trained: float | None = None
        self.before = {"seconds": 0.0, "training": 0.0}  # seconds of this epoch in earlier processes that were stopped

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, since Lightning does not call on_train_epoch_start when resuming within an epoch."""
        self._start(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock of the epoch."""
        self.images = 0
        self.before = {"seconds": 0.0, "training": 0.0}
        self._start(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count the images of all processes."""
        self.images += len(batch[0]) * trainer.world_size

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record when the training part of the epoch ended."""
        self.trained = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the row of the epoch."""
        # When resuming, Lightning first ends the epoch of the checkpoint, without any batch.
        if self.images and trainer.is_global_zero:
            import pandas as pd  # here: a run trains before it needs it

            passed = self._passed()
            row = {
                "epoch": self.epoch,
                "seconds": passed["seconds"],
                "images_per_second": self.images / passed["training"],
                "peak_memory_mb": peak_memory_mb(),
            }
            rows = pd.concat([read_table(self.path), pd.DataFrame([row])]).drop_duplicates("epoch", keep="last")
            write_atomically(self.path, rows.to_csv(index=False).encode())

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements of the epoch so far."""
        return {"images": self.images, **self._passed()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume measuring the epoch."""
        self.images = state["images"]
        self.before = {name: state[name] for name in self.before}

    def _start(self, trainer: pl.Trainer) -> None:
        self.epoch = trainer.current_epoch
        self.start = time.monotonic()
        self.trained = None

    def _passed(self) -> dict[str, float]:
        now = time.monotonic()
        seconds, training = now - self.start, (self.trained or now) - self.start
        return {"seconds": self.before["seconds"] + seconds, "training": self.before["training"] + training}


def peak_memory_mb() -> float:
    """Return the peak memory so far: of the GPU if there is one, else of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
