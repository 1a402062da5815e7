"""Random training patches, drawn on the CPU, and whole images for evaluation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.batching.choose import choose
from datamodules.batching.packed_images import PackedImages
from datamodules.batching.random_streams import seeded_generator
from datamodules.batching.resumable import ResumableSampler


class PatchIndices(NamedTuple):
    """The images, places and symmetries of a batch of B patches.

    Attributes:
        indices: of the images, (B,).
        offset: row and column of each patch, as a fraction of the possible range, (B, 2) in [0, 1).
        symmetry: which of the eight flips and rotations, (B,): 1 mirrors left to right, 2 top to bottom, 4 transposes.
    """

    indices: Tensor
    offset: Tensor
    symmetry: Tensor


class Patches(NamedTuple):
    """A batch: clean patches, uint8 (B, C, P, P), and the symmetry to apply to each, (B,)."""

    clean: Tensor
    symmetry: Tensor


class EvaluationImage(NamedTuple):
    """A whole image to evaluate on.

    Attributes:
        clean: uint8, (1, C, H, W).
        set_name: the set of images that it belongs to.
        position: of the image in the sorted list of its set; it determines the noise.
        name: of its file.
    """

    clean: Tensor
    set_name: str
    position: int
    name: str


class PatchSampler(ResumableSampler[PatchIndices]):
    """Random patches, drawn again each epoch, uniformly over images and over the places in each.

    Args:
        images: number of images.
        patches: number per epoch; an incomplete last batch is dropped unless it is the only one.
        batch_size: patches per step, total over all processes.
        seed: of the run.
        rank: of this process.
        world_size: number of processes; each gets its share of every batch.
    """

    def __init__(
        self, images: int, patches: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1
    ) -> None:
        super().__init__()
        self.images = images
        self.patches = patches
        self.batch_size = min(batch_size, patches)
        self.seed = seed
        self.rank = rank
        self.world_size = world_size

    def __len__(self) -> int:
        """Return the number of steps of an epoch."""
        return self.patches // self.batch_size

    def batches(self, epoch: int) -> Iterator[PatchIndices]:
        """Yield this process's share of every batch of an epoch."""
        order, augmentation = (seeded_generator(self.seed, name, epoch) for name in ("order", "augmentation"))
        indices = torch.randint(self.images, (self.patches,), generator=order)
        offset = torch.rand(self.patches, 2, generator=order, dtype=torch.float64)
        symmetry = torch.randint(8, (self.patches,), generator=augmentation)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            share = slice(start + self.rank, start + self.batch_size, self.world_size)
            yield PatchIndices(indices[share], offset[share], symmetry[share])


class RandomPatches(Dataset[Patches]):
    """Patches, cut a batch at a time; an image smaller than a patch is used whole, padded by reflection.

    Args:
        images: to cut patches from.
        size: height and width of a patch.
    """

    def __init__(self, images: PackedImages, size: int) -> None:
        self.images = images
        self.size = size

    def __getitem__(self, batch: PatchIndices) -> Patches:
        """Return uint8 patches (B, C, P, P)."""
        sizes = self.images.sizes[batch.indices]
        corners = (batch.offset * (sizes - self.size + 1).clamp(min=1)).long()
        if bool((sizes >= self.size).all()):
            return Patches(self._cut(batch.indices, corners, sizes), batch.symmetry)
        patches = torch.empty(len(batch.indices), self.images.channels, self.size, self.size, dtype=torch.uint8)
        for patch, index, (top, left) in zip(patches, batch.indices.tolist(), corners.tolist(), strict=True):
            image = self.images[index]
            patch.copy_(pad_by_reflection(image[:, top : top + self.size, left : left + self.size], self.size))
        return Patches(patches, batch.symmetry)

    def _cut(self, indices: Tensor, corners: Tensor, sizes: Tensor) -> Tensor:
        """Copy all rows of all patches, (B, C, P, P), from their start in memory."""
        pixels, size = self.images.pixels, self.size
        height, width = sizes.view(-1, 2, 1, 1).unbind(1)
        top, left = corners.view(-1, 2, 1, 1).unbind(1)
        channel = torch.arange(self.images.channels).view(1, -1, 1)
        starts = self.images.starts[indices].view(-1, 1, 1)
        starts = starts + (channel * height + top + torch.arange(size)) * width + left
        runs = pixels.as_strided((len(pixels) - size + 1, size), (1, 1))
        return runs.index_select(0, starts.flatten()).view(*starts.shape, size)


class EvaluationImages(Dataset[EvaluationImage]):
    """The images of several sets, concatenated.

    Args:
        sets: images of each set by its name.
    """

    def __init__(self, sets: dict[str, PackedImages]) -> None:
        self.sets = sets
        self.order = [(name, position) for name, images in sets.items() for position in range(len(images))]

    def __len__(self) -> int:
        """Return the number of images in all sets."""
        return len(self.order)

    def __getitem__(self, index: int) -> EvaluationImage:
        """Return one image."""
        set_name, position = self.order[index]
        images = self.sets[set_name]
        return EvaluationImage(images[position].unsqueeze(0), set_name, position, images.names[position])


def pad_by_reflection(image: Tensor, size: int) -> Tensor:
    """Reflect an image (C, H, W) at its lower and right edges until both sides are at least `size`."""
    missing = [max(0, size - length) for length in image.shape[1:]]
    if not any(missing):
        return image
    return torch.from_numpy(np.pad(image.numpy(), [(0, 0), *((0, pixels) for pixels in missing)], mode="reflect"))


def apply_symmetry(patches: Tensor, symmetry: Tensor) -> Tensor:
    """Flip and rotate square patches (B, C, P, P), each by its own symmetry (B,), on any device."""
    patches = choose(patches.flip(-1), patches, (symmetry & 1).bool())
    patches = choose(patches.flip(-2), patches, (symmetry & 2).bool())
    return choose(patches.transpose(-1, -2), patches, (symmetry & 4).bool())
