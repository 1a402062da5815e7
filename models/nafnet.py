"""NAFNet (Chen et al., "Simple Baselines for Image Restoration", arXiv 2204.04676): a U-Net without activations.

Where other networks have a ReLU or a sigmoid, this one multiplies one half of the features by the other.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from models.dncnn import check_channels, check_integer
from models.published import is_kernel, load_weights
from models.vgg import check_kernel_size

_NOT_NAFNET = "the weights are not those of a NAFNet"


class NAFNet(nn.Module):
    """Map noisy images (N, channels, H, W) to denoised ones of the same shape, whatever H and W.

    Names of weights are those of the published files. Images whose height or width is no multiple of
    2^levels are padded by reflection; the authors pad with black.

    Args:
        channels: 3 for colour, 1 for grey.
        width: features at full size, doubled at each level further down; 32 or 64 in the paper.
        encoder: number of blocks at each level of the encoder; every level halves height and width.
        middle: number of blocks at the bottom.
        decoder: number of blocks at each level of the decoder, lowest first; as many levels as `encoder`.
        kernel_size: 3, 5 or 7, in place of every 3x3 kernel.

    Raises:
        ValueError: an argument has another value than these.
    """

    returns: ClassVar = "a correction, which is added to the image"  # shown for third-party weights

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
                f"model.decoder={list(decoder)}: expected {len(encoder)} levels, as many as model.encoder has"
            )
        check_integer("model.middle", middle, 0, "the number of blocks is a whole number from 0 up, e.g. 12")
        check_kernel_size(kernel_size)

        def blocks(features: int, count: int) -> nn.Sequential:
            return nn.Sequential(*(Block(features, kernel_size) for _ in range(count)))

        self.arguments = {"channels": channels, "width": width, "encoder": list(encoder), "middle": middle}
        self.arguments |= {"decoder": list(decoder), "kernel_size": kernel_size}
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

    @staticmethod
    def is_named_in(state: Mapping[str, Any]) -> bool:
        """Tell whether the names of weights are those of a NAFNet: there is an `intro.weight`."""
        return _intro(state) is not None

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Build the network that fits some weights and load them, in evaluation mode.

        Args:
            state: weights as the authors publish them; all names may share any prefix.

        Raises:
            ValueError: they are not the weights of such a network.
        """
        first = _intro(state)
        if first is None:
            raise ValueError(f"{_NOT_NAFNET} (no kernel is called intro.weight)")
        prefix = first.removesuffix("intro.weight")
        renamed = {str(name).removeprefix(prefix): value for name, value in state.items()}
        width, channels, kernel_size, _ = state[first].shape
        names = [name.split(".") for name in renamed]
        levels = len({parts[1] for parts in names if parts[0] == "downs"})

        def blocks(*place: str) -> int:
            return len({parts[len(place)] for parts in names if tuple(parts[: len(place)]) == place})

        encoder, decoder = ([blocks(part, str(level)) for level in range(levels)] for part in ("encoders", "decoders"))
        try:
            return load_weights(
                lambda: cls(channels, width, encoder, blocks("middle_blks"), decoder, kernel_size), renamed
            )
        except ValueError as error:
            raise ValueError(f"{_NOT_NAFNET} ({error})") from error


class Block(nn.Module):
    """A depthwise convolution with channel attention, then a pointwise network, both with a shortcut.

    The shortcuts' scales `beta` and `gamma` start at 0, so that a new block is the identity.
    """

    def __init__(self, features: int, kernel_size: int) -> None:
        super().__init__()
        doubled = 2 * features  # SimpleGate halves them again
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
    """Layer norm over the channels of each pixel."""

    def __init__(self, features: int) -> None:
        super().__init__(features, eps=1e-6)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        normalised = super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        # Otherwise the memory layout, which a batch of one changes, would fix the batch size in the graph.
        return normalised.contiguous() if torch.compiler.is_compiling() else normalised


class SimpleGate(nn.Module):
    """The product of the first and the second half of the features."""

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, 2C, H, W) to (N, C, H, W)."""
        first, second = features.chunk(2, dim=1)
        return first * second


def pad_to_multiple(images: Tensor, multiple: int) -> Tensor:
    """Pad images (N, C, H, W) at the right and at the bottom until both sizes are multiples.

    Unlike torch's own, this reflection repeats as often as needed, so an image may be smaller than
    its padding.
    """
    for axis in (2, 3):
        size = images.shape[axis]
        # A graph for dynamic sizes cannot branch on whether one size fits.
        if torch.compiler.is_compiling() or size % multiple:
            last = torch.arange(size, device=images.device)[-1:]  # a tensor: ONNX has no remainder by a size
            turn = (2 * last).clamp(min=1)  # period of the reflection
            place = torch.arange((size + multiple - 1) // multiple * multiple, device=images.device) % turn
            images = images.index_select(axis, torch.minimum(place, 2 * last - place))
    return images


def _check_levels(key: str, counts: Sequence[int]) -> None:
    """Refuse anything but a list of block counts."""
    meaning = "give a list with the number of blocks of each level, whole numbers from 0 up, e.g. [2,2,4,8]"
    if isinstance(counts, str) or not isinstance(counts, Sequence) or not counts:
        raise ValueError(f"{key}={counts}: {meaning}")
    for count in counts:
        check_integer(key, count, 0, meaning)


def _intro(state: Mapping[str, Any]) -> str | None:
    """Return the name of the first kernel, or None."""
    return next(
        (str(name) for name, value in state.items() if is_kernel(value) and f".{name}".endswith(".intro.weight")), None
    )
