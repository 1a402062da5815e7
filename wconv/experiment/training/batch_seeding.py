"""Seed PyTorch's global random stream, used by dropout, at every training batch."""

from typing import Any

import pytorch_lightning as pl
import torch

from wconv.experiment.tasks.random_streams import derive_seed


class BatchSeeding(pl.Callback):
    """Reseed the global random stream at every batch, so that a resumed run draws the same as an uninterrupted one.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed for the batch; each process draws for its own images."""
        seed = derive_seed(self.seed, "dropout", trainer.current_epoch, batch_idx, trainer.global_rank)
        if pl_module.device.type == "cpu":
            # torch.manual_seed seeds every kind of device; if CUDA is compiled in but unused, it records the call
            # stack, which takes half a millisecond.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
