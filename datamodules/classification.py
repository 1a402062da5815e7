"""Base of the classification data sets: validation split, normalisation, data loaders."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batching.labelled_images import EvaluationSampler, LabelledImages, TrainingSampler
from datamodules.batching.resumable import ResumableDataModule
from datamodules.batching.split import draw_subset, split_validation


@dataclass(frozen=True)
class LabelledImageSet:
    """Images and their classes; subsets share one tensor of pixels.

    Attributes:
        pixels: the shared tensor, uint8 (M, C, H, W).
        labels: classes of the images of this set, int64 (N,).
        positions: indices of these images in `pixels`, (N,); None if the set has all of them.
    """

    pixels: Tensor
    labels: Tensor
    positions: Tensor | None = None

    @property
    def images(self) -> Tensor:
        """The images of this set, uint8 (N, C, H, W); a copy if the set is a subset."""
        return self.pixels if self.positions is None else self.pixels[self.positions]

    def subset(self, positions: Tensor) -> "LabelledImageSet":
        """Return a subset of the images, without copying pixels."""
        there = positions if self.positions is None else self.positions[positions]
        return LabelledImageSet(self.pixels, self.labels[positions], there)


class Splits(NamedTuple):
    """The splits of a data set on disk; `val` is None if it has no validation images."""

    train: LabelledImageSet
    val: LabelledImageSet | None
    test: LabelledImageSet
    classes: list[str]


class ClassificationDataModule(ResumableDataModule):
    """Base of the classification data sets; they implement `read` and `fingerprint`.

    Args:
        batch_size: images per step, total over all devices.
        seed: of the run; it determines order and augmentation.
        train_subset: how many training images to use, held-out ones included; None for all.
        val_size: how many of them to hold out for validation; None for a tenth.
        crop_padding: pixels of black around the image before the random crop; 0 for no crop.
        flip: mirror half of the training images.
        mean: of each channel, for pixels in [0, 1]; None to compute it from the training images.
        std: likewise.
    """

    task: ClassVar = "classification"
    channels: int
    image_size: int

    def __init__(
        self,
        batch_size: int,
        seed: int,
        train_subset: int | None = None,
        val_size: int | None = None,
        crop_padding: int = 0,
        flip: bool = False,
        mean: list[float] | None = None,
        std: list[float] | None = None,
    ) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.seed = seed
        self.train_subset = train_subset
        self.val_size = val_size
        self.crop_padding = crop_padding
        self.flip = flip
        self.mean = mean
        self.std = std
        self.classes: list[str] = []

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the content of this data, wherever it lies, without decoding it."""

    @abstractmethod
    def read(self) -> Splits:
        """Read all images.

        Raises:
            ValueError: data is missing or invalid; the message says in one sentence what, where, and what to do.
            OSError: a file cannot be read.
        """

    def load(self) -> None:
        """Read the images, draw the subset and hold out the validation part; raises as `read`."""
        train, val, test, self.classes = self.read()
        if len(self.classes) < 2:
            raise ValueError(f"the data has one class only ({', '.join(self.classes)}); there is nothing to tell apart")
        train = train.subset(draw_subset(train.labels, self.train_subset))
        if self.train_subset is not None:
            train = LabelledImageSet(train.images, train.labels)  # frees the pixels that were not drawn
        if val is not None and self.val_size is not None:
            raise ValueError(
                f"datamodule.val_size={self.val_size}, but the data set brings validation images of its own; "
                "leave val_size out, or hold images out of the training ones with datamodule.val_dir=null"
            )
        if val is None:
            kept, held = split_validation(train.labels, self.val_size)
            train, val = train.subset(kept), train.subset(held)
        self.train, self.val, self.test = train, val, test
        self.channels, self.image_size = train.pixels.shape[1], train.pixels.shape[2]
        if self.mean is None or self.std is None:
            mean, std = channel_statistics(train)
            self.mean, self.std = self.mean or mean, self.std or std
        if (
            not len(self.mean) == len(self.std) == self.channels
            or not all(map(math.isfinite, self.mean))
            or not min(self.std) > 0
        ):
            raise ValueError(
                f"datamodule.mean={self.mean} and datamodule.std={self.std}: expected a number for each of the "
                f"{self.channels} channels, the second above 0; or null to have them measured"
            )

    @property
    def num_classes(self) -> int:
        """Number of classes; available after `load`."""
        return len(self.classes)

    @property
    def model_arguments(self) -> dict[str, Any]:
        """Arguments of a backbone that follow from the data; available after `load`."""
        return {"num_classes": self.num_classes, "in_channels": self.channels}

    @property
    def task_arguments(self) -> dict[str, Any]:
        """Arguments of the task that follow from the data; available after `load`."""
        return {"num_classes": self.num_classes}

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the batches of the next epoch."""
        rank, world_size = self._share()
        sampler = TrainingSampler(
            len(self.train.labels), self.batch_size, self.seed, self.crop_padding, self.flip, rank, world_size
        )
        return self.resumable_dataloader(self._on_device(self.train), sampler)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the validation batches."""
        return self._evaluation(self.val)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor]]:
        """Return the test batches."""
        return self._evaluation(self.test)

    def _evaluation(self, part: LabelledImageSet) -> DataLoader[tuple[Tensor, Tensor]]:
        sampler = EvaluationSampler(len(part.labels), self.batch_size, *self._share())
        return DataLoader(self._on_device(part), sampler=sampler, batch_size=None)

    def _on_device(self, part: LabelledImageSet) -> LabelledImages:
        assert self.mean is not None
        assert self.std is not None
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if device.type == "cpu":
            return LabelledImages(part.pixels, part.labels, self.mean, self.std, self.crop_padding, part.positions)
        # Only the images of this part are copied to the device.
        return LabelledImages(part.images.to(device), part.labels.to(device), self.mean, self.std, self.crop_padding)

    def _share(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def channel_statistics(part: LabelledImageSet) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of each channel of some images, for pixels in [0, 1].

    They are computed from the histogram of the 256 values: exact, and copying one channel at most.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    mean, std = [], []
    for channel in part.pixels.unbind(1):
        chosen = channel if part.positions is None else channel[part.positions]
        counts = torch.bincount(chosen.flatten(), minlength=256).double()
        average = (counts @ values) / counts.sum()
        mean.append(average.item())
        std.append(max((counts @ (values - average) ** 2 / counts.sum()).sqrt().item(), 1 / 255))
    return mean, std
