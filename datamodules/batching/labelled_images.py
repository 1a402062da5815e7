"""Batches indexed from one uint8 tensor, on the device it is on, with no work per image in Python.

For each batch, a sampler yields the indices of the images and (for training) their crops and flips; the data set turns
them into normalised pixels with a few tensor operations. All random draws of an epoch are determined by (seed, epoch)
and made on the CPU, so that they are the same on every device and after a resume.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from datamodules.batching.choose import choose
from datamodules.batching.random_streams import seeded_generator
from datamodules.batching.resumable import ResumableSampler


class BatchIndices(NamedTuple):
    """The images and augmentations of a batch of B.

    Attributes:
        indices: of the images, (B,).
        shift: row and column of each crop in the padded image, (B, 2), or None for no crop.
        flip: whether to mirror each left to right, (B,), or None for none.
    """

    indices: Tensor
    shift: Tensor | None = None
    flip: Tensor | None = None


class TrainingSampler(ResumableSampler[BatchIndices]):
    """Shuffled batches with random crops and flips, drawn again each epoch.

    Args:
        count: number of images.
        batch_size: images per step, total over all processes; an incomplete last batch is dropped unless it is the
            only one.
        seed: of the run.
        crop_padding: pixels of black added on each side before the crop; 0 for no crop.
        flip: mirror half of the images.
        rank: of this process.
        world_size: number of processes; each gets its share of every batch.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int,
        crop_padding: int = 0,
        flip: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        super().__init__()
        self.count = count
        self.batch_size = min(batch_size, count)
        self.seed = seed
        self.crop_padding = crop_padding
        self.flip = flip
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return self.count // self.batch_size

    def batches(self, epoch: int) -> Iterator[BatchIndices]:
        """Yield this process's share of every batch of an epoch."""
        order = torch.randperm(self.count, generator=seeded_generator(self.seed, "order", epoch))
        augmentation = seeded_generator(self.seed, "augmentation", epoch)
        shift = torch.randint(2 * self.crop_padding + 1, (self.count, 2), generator=augmentation)
        mirrored = torch.rand(self.count, generator=augmentation) < 0.5
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            share = slice(start + self.rank, start + self.batch_size, self.world_size)
            yield BatchIndices(
                order[share],
                shift[share] if self.crop_padding else None,
                mirrored[share] if self.flip else None,
            )


class EvaluationSampler(Sampler[BatchIndices]):
    """Every image once, in order, distributed over the processes without padding."""

    def __init__(self, count: int, batch_size: int, rank: int = 0, world_size: int = 1) -> None:
        self.share = torch.arange(count)[rank::world_size]  # empty where there are more processes than images
        self.batch_size = max(1, batch_size // world_size)

    def __len__(self) -> int:
        """Return the number of this process's batches."""
        return -(-len(self.share) // self.batch_size)

    def __iter__(self) -> Iterator[BatchIndices]:
        """Yield this process's batches."""
        for start in range(0, len(self.share), self.batch_size):
            yield BatchIndices(self.share[start : start + self.batch_size])


class LabelledImages(Dataset[tuple[Tensor, Tensor]]):
    """Images and classes in memory, indexed by whole batches.

    Args:
        images: uint8, (M, C, H, W).
        labels: int64, (N,).
        mean: of each channel, for pixels in [0, 1].
        std: likewise.
        crop_padding: as in `TrainingSampler`.
        positions: indices of the N images among the M, (N,), on the CPU; None for all.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        mean: list[float],
        std: list[float],
        crop_padding: int = 0,
        positions: Tensor | None = None,
    ) -> None:
        self.images = images
        self.labels = labels
        self.mean = torch.tensor(mean, device=images.device).view(-1, 1, 1)
        self.std = torch.tensor(std, device=images.device).view(-1, 1, 1)
        self.crop_padding = crop_padding
        self.positions = positions

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, batch: BatchIndices) -> tuple[Tensor, Tensor]:
        """Return normalised float32 images (B, C, H, W) and their classes (B,)."""
        rows = batch.indices if self.positions is None else self.positions[batch.indices]
        images = self.images.index_select(0, self._moved(rows))
        if batch.shift is not None:
            images = crop(images, self._moved(batch.shift), self.crop_padding)
        if batch.flip is not None:
            images = choose(images.flip(-1), images, self._moved(batch.flip))
        # In place, and by division as in torchvision: multiplying by the inverse would round differently.
        pixels = images.float().div_(255).sub_(self.mean).div_(self.std)
        return pixels, self.labels.index_select(0, self._moved(batch.indices))

    def _moved(self, draws: Tensor) -> Tensor:
        """Move draws to the device of the images; a GPU gets them asynchronously, without a synchronisation."""
        return draws.to(self.images.device, non_blocking=True)


def crop(images: Tensor, shift: Tensor, padding: int) -> Tensor:
    """Pad images (B, C, H, W) with zeros and cut each back to its size at its own row and column, (B, 2)."""
    batch, channels, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    image, plane, row, column = padded.stride()
    # One strided view holds all possible windows, indexed by their start in memory. `index_select` then copies whole
    # contiguous rows; one index per pixel is twenty times as slow.
    last = (batch - 1) * image + 2 * padding * (row + column)
    windows = padded.as_strided((last + 1, channels, height, width), (1, plane, row, column))
    starts = torch.arange(batch, device=images.device) * image + shift[:, 0] * row + shift[:, 1] * column
    return windows.index_select(0, starts)
