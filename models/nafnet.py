"""NAFNet (Chen et al., "Simple Baselines for Image Restoration", arXiv 2204.04676): a U-Net without activations.

Where other networks have a ReLU or a sigmoid, this one multiplies one half of the features by the other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.dncnn import check_channels, check_integer
from models.vgg import check_kernel_size


class NAFNet(nn.Module):
    """Map noisy images (N, channels, H, W) to denoised ones of the same shape, whatever H and W.

    Names of weights are those of the published files. Sizes that the levels do not divide are padded by reflection,
    where the authors pad with black.

    Args:
        channels: 3 for colour, 1 for grey.
        width: features at full size, doubled at each level further down; 32 or 64 in the paper.
        encoder: blocks at each level on the way down; every level halves height and width.
        middle: blocks at the bottom.
        decoder: blocks at each level on the way up, the lowest first; as many levels as `encoder`.
        kernel_size: 3, 5 or 7, in place of every 3x3 kernel.

    Raises:
        ValueError: an argument has another value than these.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 32,
        encoder: Sequence[int] = (2, 2, 4, 8),
        middle: int = 12,
        decoder: Sequence[int] = (2, 2, 2, 2),
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        check_channels(channels)
        check_integer("model.width", width, 1, "the number of features is a whole number from 1 up, e.g. 32")
        _check_levels("model.encoder", encoder)
        _check_levels("model.decoder", decoder)
        if len(decoder) != len(encoder):
            raise ValueError(
                f"model.decoder={list(decoder)}: as many levels as model.encoder has are needed, {len(encoder)}"
            )
        check_integer("model.middle", middle, 0, "the number of blocks is a whole number from 0 up, e.g. 12")
        check_kernel_size(kernel_size)

        def blocks(features: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Block(features, kernel_size) for _ in range(count)))

        self.intro = nn.Conv2d(channels, width, kernel_size, padding=kernel_size // 2)
        self.encoders, self.downs = nn.ModuleList(), nn.ModuleList()
        for count in encoder:
            self.encoders.append(blocks(width, count))
            self.downs.append(nn.Conv2d(width, 2 * width, 2, stride=2))
            width *= 2
        self.middle_blks = blocks(width, middle)
        self.ups, self.decoders = nn.ModuleList(), nn.ModuleList()
        for count in decoder:
            self.ups.append(nn.Sequential(nn.Conv2d(width, 2 * width, 1, bias=False), nn.PixelShuffle(2)))
            width //= 2
            self.decoders.append(blocks(width, count))
        self.ending = nn.Conv2d(width, channels, kernel_size, padding=kernel_size // 2)

    @property
    def context(self) -> None:
        """Return None: the channel attention makes every output pixel depend on the whole image."""
        return None

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the image plus the estimated correction."""
        height, width = noisy.shape[-2:]
        padded = pad_to_multiple(noisy, 2 ** len(self.downs))
        features = self.intro(padded)
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            features = encoder(features)
            skips.append(features)
            features = down(features)
        features = self.middle_blks(features)
        for up, decoder in zip(self.ups, self.decoders, strict=True):
            features = decoder(up(features) + skips.pop())
        restored: Tensor = padded + self.ending(features)
        return restored[..., :height, :width]


class Block(nn.Module):
    """A depthwise convolution with channel attention, then a pointwise network, both with a shortcut.

    The shortcuts' scales `beta` and `gamma` start at 0, so that a new block is the identity.
    """

    def __init__(self, features: int, kernel_size: int) -> None:
        super().__init__()
        doubled = 2 * features  # a gate halves them again
        self.norm1 = LayerNorm2d(features)
        self.conv1 = nn.Conv2d(features, doubled, 1)
        self.conv2 = nn.Conv2d(doubled, doubled, kernel_size, padding=kernel_size // 2, groups=doubled)
        self.sca = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(features, features, 1))
        self.conv3 = nn.Conv2d(features, features, 1)
        self.norm2 = LayerNorm2d(features)
        self.conv4 = nn.Conv2d(features, doubled, 1)
        self.conv5 = nn.Conv2d(features, features, 1)
        self.gate = SimpleGate()
        self.beta = nn.Parameter(torch.zeros(1, features, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(1, features, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        gated = self.gate(self.conv2(self.conv1(self.norm1(features))))
        features = features + self.beta * self.conv3(gated * self.sca(gated))
        mixed: Tensor = self.conv5(self.gate(self.conv4(self.norm2(features))))
        return features + self.gamma * mixed


class LayerNorm2d(nn.LayerNorm):
    """Normalise the features of each pixel by itself."""

    def __init__(self, features: int) -> None:
        super().__init__(features, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class SimpleGate(nn.Module):
    """The product of the first and the second half of the features."""

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, 2C, H, W) to (N, C, H, W)."""
        first, second = features.chunk(2, dim=1)
        return first * second


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pad images (N, C, H, W) at the right and at the bottom until both sizes are multiples.

    Unlike torch's own, this reflection goes back and forth as often as it takes, so an image may be smaller than
    its padding.
    """
    for axis in (2, 3):
        size = images.shape[axis]
        if size % multiple:
            turn = max(1, 2 * (size - 1))  # there and back
            place = torch.arange(-(-size // multiple) * multiple, device=images.device) % turn
            images = images.index_select(axis, torch.minimum(place, 2 * (size - 1) - place))
    return images


def _check_levels(key: str, counts: Sequence[int]) -> None:
    """Refuse what is not a list of numbers of blocks."""
    meaning = "give a list with the number of blocks of each level, whole numbers from 0 up, e.g. [2,2,4,8]"
    if isinstance(counts, str) or not isinstance(counts, Sequence) or not counts:
        raise ValueError(f"{key}={counts}: {meaning}")
    for count in counts:
        check_integer(key, count, 0, meaning)
