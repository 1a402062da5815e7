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
        seed = derive_seed(self.seed, "dropout", trainer.current_epoch, batch_idx, trainer.global_rank)
        if pl_module.device.type == "cpu":
            # torch.manual_seed turns to every kind of device, and where CUDA is built in but not in use, it writes
            # down the call stack for it: half a millisecond.
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)
