"""Batches cut from one uint8 tensor, on whatever device it lies on, with no work per image in Python.

A sampler yields, for each batch, which images and (for training) which crops and flips; the data set turns that into
normalised pixels with a few tensor operations. All draws of an epoch follow from (seed, epoch), and are made on the
CPU, so that they are the same on every device and after a resume.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from datamodules.batching.random_streams import seeded_generator
from datamodules.batching.resumable import ResumableSampler


class BatchIndices(NamedTuple):
    """What a batch of B is made of.

    Attributes:
        indices: which images, (B,).
        shift: row and column of each crop in the padded image, (B, 2), or None for no crop.
        flip: which are mirrored left to right, (B,), or None for none.
    """

    indices: Tensor
    shift: Tensor | None = None
    flip: Tensor | None = None


class TrainingSampler(ResumableSampler[BatchIndices]):
    """Shuffled batches with random crops and flips, another draw each epoch.

    Args:
        count: number of images.
        batch_size: images a step, over all processes together; what does not fill the last batch is left out, as
            long as there is a whole batch.
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
    """Every image once, in order, shared out between the processes without padding."""

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
    """Images and classes in memory, read a batch at a time.

    Args:
        images: uint8, (N, C, H, W).
        labels: int64, (N,).
        mean: of each channel, of pixels in [0, 1].
        std: likewise.
        crop_padding: as in `TrainingSampler`.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, mean: list[float], std: list[float], crop_padding: int = 0
    ) -> None:
        self.images = images
        self.labels = labels
        self.mean = torch.tensor(mean, device=images.device).view(-1, 1, 1)
        self.std = torch.tensor(std, device=images.device).view(-1, 1, 1)
        self.crop_padding = crop_padding

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, batch: BatchIndices) -> tuple[Tensor, Tensor]:
        """Return normalised float32 images (B, C, H, W) and their classes (B,)."""
        indices = batch.indices.to(self.images.device)
        images = self.images[indices]
        if batch.shift is not None:
            images = crop(images, batch.shift.to(images.device), self.crop_padding)
        if batch.flip is not None:
            images = torch.where(batch.flip.to(images.device).view(-1, 1, 1, 1), images.flip(-1), images)
        return (images.float() / 255 - self.mean) / self.std, self.labels[indices]


def crop(images: Tensor, shift: Tensor, padding: int) -> Tensor:
    """Pad images (B, C, H, W) with zeros and cut each back to its size at its own row and column, (B, 2)."""
    batch, channels, height, width = images.shape
    padded = F.pad(images, (padding, padding, padding, padding))
    rows = shift[:, :1] + torch.arange(height, device=images.device)
    columns = shift[:, 1:] + torch.arange(width, device=images.device)
    b = torch.arange(batch, device=images.device).view(-1, 1, 1, 1)
    c = torch.arange(channels, device=images.device).view(1, -1, 1, 1)
    return padded[b, c, rows.view(batch, 1, height, 1), columns.view(batch, 1, 1, width)]
