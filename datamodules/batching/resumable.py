"""Sampler and datamodule that resume from a checkpoint in the middle of an epoch."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

T = TypeVar("T")


class ResumableSampler(Sampler[T]):
    """Yields the batches of each epoch and tracks its position.

    The draws of an epoch are determined by its number, so the state is only the number of the epoch and of the batch.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.position = 0  # batches handed out in this epoch
        self.resume_at: tuple[int, int] | None = None  # epoch, and its first batch not yet trained on

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[T]:
        """Yield all batches of an epoch."""

    def __iter__(self) -> Iterator[T]:
        """Yield the remaining batches of the epoch."""
        # Lightning creates its iterator before it calls set_epoch; this generator runs only once a batch is requested.
        epoch, first = self.resume_at or (self.epoch, 0)
        first = first if epoch == self.epoch else 0
        self.resume_at = None
        for position, batch in enumerate(self.batches(self.epoch)):
            if position >= first:
                self.position = position + 1
                yield batch

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch to yield next; called by Lightning."""
        if epoch != self.epoch:
            self.position = 0
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and how many of its batches were handed out."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume after the batches that were already handed out in that epoch."""
        self.resume_at = (state["epoch"], state["position"])


class ResumableDataModule(pl.LightningDataModule):
    """Base of the data sets: saves the position in the training data in Lightning's checkpoints.

    Lightning can save the state of a loader, but restores it only in a loader that is created after the optimiser; ours
    is needed before, for the number of steps.
    """

    sampler: ResumableSampler[Any] | None = None
    sampler_state: dict[str, int] | None = None

    def resumable_dataloader(self, dataset: Dataset[Any], sampler: ResumableSampler[Any]) -> DataLoader[Any]:
        """Return a loader that resumes at the position of the checkpoint, if there is one.

        There are no worker processes: they would read ahead, and the sampler would no longer be in step with training.
        """
        if self.sampler_state is not None:
            sampler.load_state_dict(self.sampler_state)
        self.sampler, self.sampler_state = sampler, None
        return DataLoader(dataset, sampler=sampler, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampler."""
        return {} if self.sampler is None else self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep the state for the loader, which is created later."""
        self.sampler_state = state
