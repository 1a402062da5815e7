"""Base of the denoising data sets: validation split, training patches, whole images for evaluation."""

import warnings
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batching.packed_images import PackedImages
from datamodules.batching.patches import (
    EvaluationImage,
    EvaluationImages,
    Patches,
    PatchSampler,
    RandomPatches,
    apply_symmetry,
)
from datamodules.batching.random_streams import seeded_generator
from datamodules.batching.resumable import ResumableDataModule
from datamodules.batching.split import SPLIT_KEY

MAX_VALIDATION_IMAGES = 20  # default limit: every epoch evaluates all of them, at full size
SSIM_WINDOW = 11


class DenoisingDataModule(ResumableDataModule):
    """Base of the denoising data sets; they implement `read_train`, `read_test` and `fingerprint`.

    Their images are clean; the task adds the noise.

    Args:
        batch_size: patches per step, total over all devices.
        seed: of the run; it determines the patches and their flips and rotations.
        channels: 3 for colour, 1 for grey.
        patch_size: height and width of a patch.
        patches_per_epoch: how many make an epoch.
        train_subset: how many training images to use, held-out ones included; None for all.
        val_size: how many of them to hold out for validation; None for a tenth, at most 20.

    Raises:
        ValueError: an option has an invalid value.
    """

    task: ClassVar = "denoising"
    image_size: ClassVar = 256  # side of the image for which multiply-accumulates are counted, as usual in papers

    def __init__(
        self,
        batch_size: int,
        seed: int,
        channels: int,
        patch_size: int,
        patches_per_epoch: int,
        train_subset: int | None = None,
        val_size: int | None = None,
    ) -> None:
        super().__init__()
        if channels not in (1, 3):
            raise ValueError(f"datamodule.channels={channels}: choose 3 for colour or 1 for grey")
        self.batch_size = batch_size
        self.seed = seed
        self.channels = channels
        self.patch_size = patch_size
        self.patches_per_epoch = patches_per_epoch
        self.train_subset = train_subset
        self.val_size = val_size

    @abstractmethod
    def fingerprint(self) -> dict[str, Any]:
        """Return what identifies the content of this data, wherever it lies, without decoding it."""

    @abstractmethod
    def read_train(self) -> tuple[PackedImages, PackedImages | None]:
        """Read the training images, and the validation images if a folder of them was given.

        Raises:
            ValueError: data is missing or invalid; the message says in one sentence what, where, and what to do.
            OSError: a file cannot be read.
        """

    @abstractmethod
    def read_test(self) -> dict[str, PackedImages]:
        """Read the test images of each set, by its name; raises as `read_train`."""

    @property
    def model_arguments(self) -> dict[str, Any]:
        """Arguments of a denoiser that follow from the data."""
        return {"channels": self.channels}

    @property
    def task_arguments(self) -> dict[str, Any]:
        """Arguments of the task that follow from the data: none."""
        return {}

    def load(self) -> None:
        """Read the images, draw the subset and hold out the validation part; raises as `read_train`."""
        train, val = self.read_train()
        # One fixed order for every run: the validation images must not depend on the training seed.
        order = torch.randperm(len(train), generator=seeded_generator(*SPLIT_KEY))[: self._subset(len(train))]
        if val is not None and self.val_size is not None:
            raise ValueError(
                f"datamodule.val_size={self.val_size}, but datamodule.val_dir names a folder of validation images; "
                "leave val_size out, or hold images out of the training ones with datamodule.val_dir=null"
            )
        if val is None:
            held = self._held_out(len(order))
            val, order = train.subset(order[:held].sort().values), order[held:]
        self.train, self.val = train.subset(order.sort().values), val
        _check_sizes(self.val, "validation")
        small = int((self.train.sizes.min(1).values < self.patch_size).sum())
        if small:
            warnings.warn(
                f"{small} of {len(self.train)} training images are smaller than a patch of {self.patch_size}x"
                f"{self.patch_size}; they are used whole, padded by reflection",
                stacklevel=2,
            )
        self.load_test()

    def load_test(self) -> None:
        """Read the test images; raises as `read_test`."""
        self.test = self.read_test()
        for name, images in self.test.items():
            _check_sizes(images, f"test set {name}")

    def _subset(self, total: int) -> int:
        subset = total if self.train_subset is None else self.train_subset
        if not 1 <= subset <= total:
            raise ValueError(
                f"datamodule.train_subset={subset}: there are {total} training images; "
                f"choose 1 to {total}, or null for all"
            )
        return subset

    def _held_out(self, total: int) -> int:
        held = min(MAX_VALIDATION_IMAGES, max(1, total // 10)) if self.val_size is None else self.val_size
        if not 1 <= held < total:
            asked = "null" if self.val_size is None else held
            raise ValueError(
                f"datamodule.val_size={asked}: {held} of {total} training images would be held out for validation; "
                "leave one at least on either side"
            )
        return held

    def train_dataloader(self) -> DataLoader[Patches]:
        """Return the batches of the next epoch."""
        sampler = PatchSampler(len(self.train), self.patches_per_epoch, self.batch_size, self.seed, *self._share())
        return self.resumable_dataloader(RandomPatches(self.train, self.patch_size), sampler)

    def val_dataloader(self) -> DataLoader[EvaluationImage]:
        """Return the held-out images."""
        return self.frames({"val": self.val})

    def test_dataloader(self) -> DataLoader[EvaluationImage]:
        """Return the images of all test sets."""
        return self.frames(self.test)

    def frames(self, sets: dict[str, PackedImages]) -> DataLoader[EvaluationImage]:
        """Return whole images, one at a time, distributed over the processes without padding."""
        frames = EvaluationImages(sets)
        rank, world_size = self._share()
        return DataLoader(frames, sampler=range(rank, len(frames), world_size), batch_size=None)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Convert pixels to float32 in [0, 1], and flip and rotate patches, on the target device."""
        if isinstance(batch, Patches):
            batch = batch._replace(clean=apply_symmetry(batch.clean, batch.symmetry))
        return batch._replace(clean=in_unit_range(batch.clean))

    def _share(self) -> tuple[int, int]:
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)


def in_unit_range(pixels: Tensor) -> Tensor:
    """Return uint8 pixels as float32 in [0, 1]."""
    return pixels.float().div_(255)


def _check_sizes(images: PackedImages, part: str) -> None:
    """Refuse images that are too small for the SSIM."""
    for name, (height, width) in zip(images.names, images.sizes.tolist(), strict=True):
        if min(height, width) < SSIM_WINDOW:
            raise ValueError(
                f"{name} ({part}) is {width}x{height} pixels; to be evaluated, an image needs "
                f"at least {SSIM_WINDOW}x{SSIM_WINDOW} (the window of the SSIM): remove this image"
            )
