"""What is drawn from PyTorch's global stream while training, such as dropout."""

import pytorch_lightning as pl
import torch

from wconv.experiment.streams import seed_of


class EpochStream(pl.Callback):
    """Seed the global random stream anew at every epoch, so that a resumed run draws what an undisturbed one does.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Seed for the epoch; each process draws for its own images."""
        torch.manual_seed(seed_of(self.seed, "dropout", trainer.current_epoch, trainer.global_rank))
