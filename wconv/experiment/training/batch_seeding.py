"""What is drawn from PyTorch's global stream while training, such as dropout."""

from typing import Any

import pytorch_lightning as pl
import torch

from wconv.experiment.tasks.random_streams import derive_seed


class BatchSeeding(pl.Callback):
    """Seed the global random stream anew at every batch, so that a resumed run draws what an undisturbed one does.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Seed for the batch; each process draws for its own images."""
        torch.manual_seed(derive_seed(self.seed, "dropout", trainer.current_epoch, batch_idx, trainer.global_rank))
