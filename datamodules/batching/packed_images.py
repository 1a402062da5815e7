"""Images of different sizes, concatenated in a single tensor, without a Python object for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class PackedImages:
    """Images of any size that have the same number of channels.

    Attributes:
        pixels: of all images, uint8, (total,); may be a memory-mapped file.
        starts: offset of each image in `pixels`, (N,).
        sizes: height and width of each, (N, 2).
        channels: 1 or 3.
        names: of each.
    """

    pixels: Tensor
    starts: Tensor
    sizes: Tensor
    channels: int
    names: Sequence[str]

    @classmethod
    def from_contiguous(cls, pixels: Tensor, sizes: Tensor, channels: int, names: Sequence[str]) -> "PackedImages":
        """Create them from the pixels of consecutive images without gaps."""
        ends = (sizes.prod(1) * channels).cumsum(0)
        return cls(pixels, torch.cat([ends.new_zeros(1), ends[:-1]]), sizes, channels, names)

    @classmethod
    def from_tensors(cls, images: Sequence[Tensor], names: Sequence[str]) -> "PackedImages":
        """Create them from uint8 tensors (C, H, W)."""
        sizes = torch.tensor([image.shape[1:] for image in images])
        pixels = torch.cat([image.flatten() for image in images])
        return cls.from_contiguous(pixels, sizes, len(images[0]), names)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.starts)

    def __getitem__(self, position: int) -> Tensor:
        """Return a view of an image, (C, H, W)."""
        height, width = self.sizes[position].tolist()
        start = int(self.starts[position])
        return self.pixels[start : start + self.channels * height * width].view(self.channels, height, width)

    def subset(self, positions: Tensor) -> "PackedImages":
        """Return a subset of the images, without copying pixels."""
        names = [self.names[position] for position in positions.tolist()]
        return PackedImages(self.pixels, self.starts[positions], self.sizes[positions], self.channels, names)
