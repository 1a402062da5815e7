"""Training data that resumes where a checkpoint was made, in the middle of an epoch."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, TypeVar

import pytorch_lightning as pl
from torch.utils.data import DataLoader, Dataset, Sampler

T = TypeVar("T")


class ResumableSampler(Sampler[T]):
    """The batches of one epoch after the other; it knows how far it is.

    What an epoch draws follows from its number, so its number and that of the batch are all there is to keep.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.position = 0  # batches handed out in this epoch
        self.resume_at: tuple[int, int] | None = None  # an epoch and its first batch that is still to come

    @abstractmethod
    def batches(self, epoch: int) -> Iterator[T]:
        """Yield all batches of an epoch."""

    def __iter__(self) -> Iterator[T]:
        """Yield the batches of the epoch that are still to come."""
        # Lightning makes its iterator before it calls set_epoch; all this happens when the first batch is asked for.
        epoch, first = self.resume_at or (self.epoch, 0)
        first = first if epoch == self.epoch else 0
        self.resume_at = None
        for position, batch in enumerate(self.batches(self.epoch)):
            if position >= first:
                self.position = position + 1
                yield batch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose batches come next; Lightning calls it."""
        if epoch != self.epoch:
            self.position = 0
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        """Return the epoch and how many of its batches were handed out."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Resume behind the batches that were handed out in that epoch."""
        self.resume_at = (state["epoch"], state["position"])


class ResumableDataModule(pl.LightningDataModule):
    """Base of the data sets: its place in the training data is kept in Lightning's checkpoints.

    Lightning would keep the place of a loader that can tell it, but gives it back only to a loader that is made after
    the optimiser, and ours has to say how many steps there are before.
    """

    sampler: ResumableSampler[Any] | None = None
    sampler_state: dict[str, int] | None = None

    def resumable_dataloader(self, dataset: Dataset[Any], sampler: ResumableSampler[Any]) -> DataLoader[Any]:
        """Return a loader of batches that resumes where the checkpoint was made, if there is one.

        Its sampler runs in step with the training only as long as no worker processes read ahead, so there are none.
        """
        if self.sampler_state is not None:
            sampler.load_state_dict(self.sampler_state)
        self.sampler, self.sampler_state = sampler, None
        return DataLoader(dataset, sampler=sampler, batch_size=None)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the sampler."""
        return {} if self.sampler is None else self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Keep the state for the loader that is still to be made."""
        self.sampler_state = state
