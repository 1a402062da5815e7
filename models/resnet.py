"""ResNet for small images (He et al., arXiv 1512.03385).

Two families: the paper's own CIFAR networks of depth 6n + 2 (20, 32, 44, 56, 110: three stages of 16, 32, 64
channels, shortcuts without parameters), and the ImageNet networks 18, 34, 50, whose 7x7 stem and max pooling
are replaced by a 3x3 stem of stride 1, as is usual for 32x32 images.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from models.published import check_weights
from models.vgg import check_kernel_size, scale_channels

SMALL_DEPTHS = (20, 32, 44, 56, 110)
SMALL_CHANNELS = (16, 32, 64)
# Blocks in each of the four stages, and whether they are bottlenecks.
LARGE_STAGES = {18: ((2, 2, 2, 2), False), 34: ((3, 4, 6, 3), False), 50: ((3, 4, 6, 3), True)}
LARGE_CHANNELS = (64, 128, 256, 512)
EXPANSION = 4  # of a bottleneck
# Names of the layers in common weight files, within a block and outside.
IN_BLOCK = {
    **{f"conv{number}": f"body.{2 * number - 2}.0" for number in (1, 2, 3)},
    **{f"bn{number}": f"body.{2 * number - 2}.1" for number in (1, 2, 3)},
    **{f"{name}.{part}": f"shortcut.{part}" for name in ("shortcut", "downsample") for part in (0, 1)},
}
OUTSIDE = {"conv1": "stem.0", "bn1": "stem.1", "linear": "classifier", "fc": "classifier"}


class ResNet(nn.Module):
    """Map images (N, in_channels, H, W) to logits (N, num_classes).

    Args:
        num_classes: number of logits.
        in_channels: 3 for colour, 1 for grey.
        depth: 20, 32, 44, 56 or 110 for the CIFAR family; 18, 34 or 50 for the ImageNet one.
        width: factor on the number of channels.
        batch_norm: False leaves the batch normalisations out and gives the convolutions biases.
        kernel_size: 3, 5 or 7, in place of every 3x3 kernel; the padding keeps the image size.
        checkpoint: file of weights to start from; not read here, but by the caller that starts a training and calls
            `load_published`.

    Raises:
        ValueError: an argument has another value than these.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        depth: int = 18,
        width: float = 1.0,
        batch_norm: bool = True,
        kernel_size: int = 3,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__()
        check_kernel_size(kernel_size)
        self.checkpoint = checkpoint
        if depth in SMALL_DEPTHS:
            blocks, bottleneck, base = ((depth - 2) // 6,) * 3, False, SMALL_CHANNELS
        elif depth in LARGE_STAGES:
            (blocks, bottleneck), base = LARGE_STAGES[depth], LARGE_CHANNELS
        else:
            known = sorted((*SMALL_DEPTHS, *LARGE_STAGES))
            raise ValueError(f"model.depth={depth}: ResNet comes in depths {', '.join(map(str, known))}")
        self.blocks_of_stages = blocks
        channels = scale_channels(base[0], width)
        self.stem = ConvNorm(in_channels, channels, kernel_size, 1, batch_norm)
        stages = []
        for stage, (count, stage_base) in enumerate(zip(blocks, base, strict=True)):
            inner = scale_channels(stage_base, width)
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                body = (
                    bottleneck_body(channels, inner, kernel_size, stride, batch_norm)
                    if bottleneck
                    else basic_body(channels, inner, kernel_size, stride, batch_norm)
                )
                out = inner * EXPANSION if bottleneck else inner
                stages.append(Residual(body, shortcut(channels, out, stride, batch_norm, depth in SMALL_DEPTHS)))
                channels = out
        self.blocks = nn.Sequential(*stages)
        self.classifier = nn.Linear(channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        features = self.blocks(F.relu(self.stem(images)))
        return self.classifier(features.mean(dim=(2, 3)))

    def load_published(self, state: Mapping[str, Any]) -> int:
        """Load weights from a usual file or from this project; a classifier for another number of classes is left out.

        Args:
            state: `conv1.weight`, `layer1.0.conv1.weight`, ..., `linear.weight` or `fc.weight`; all names may share
                any prefix.

        Returns:
            The number of classes that the weights distinguish.

        Raises:
            ValueError: they are not the weights of this network; nothing is loaded then.
        """
        renamed = _renamed(state, self.blocks_of_stages)
        expected = self.state_dict()
        classifier = renamed.get("classifier.weight")
        classes = len(classifier) if isinstance(classifier, Tensor) and classifier.dim() == 2 else 0
        if classes and classes != self.classifier.out_features:
            for name in ("classifier.weight", "classifier.bias"):
                renamed.pop(name, None)
                expected.pop(name)
        check_weights(renamed, expected)
        self.load_state_dict(self.state_dict() | renamed)
        return classes


def _renamed(state: Mapping[str, Any], blocks: tuple[int, ...]) -> dict[str, Any]:
    """Rename weights to the names used here; unknown layers keep their names.

    Raises:
        ValueError: no name is that of a first convolution, or the stages have other numbers of blocks than `blocks`.
    """
    first = min((str(name) for name in state if _FIRST.search(str(name))), key=len, default=None)
    if first is None:
        found = ", ".join(list(map(str, state))[:3]) or "nothing"
        raise ValueError(f"it has no weights of a ResNet (none is called conv1.weight; found {found})")
    prefix = _FIRST.sub("", first)
    renamed, seen = {}, set()
    for name, value in state.items():
        path, _, leaf = str(name).removeprefix(prefix).rpartition(".")
        if place := re.fullmatch(r"layer(\d+)\.(\d+)\.(.+)", path):
            stage, block = int(place[1]) - 1, int(place[2])
            seen.add((stage, block))
            path = f"blocks.{sum(blocks[:stage]) + block}.{IN_BLOCK.get(place[3], place[3])}"
        renamed[f"{OUTSIDE.get(path, path)}.{leaf}"] = value
    counts = Counter(stage for stage, _ in seen)
    found_blocks = [counts[stage] for stage in sorted(counts)]
    if seen and found_blocks != list(blocks):
        raise ValueError(
            f"its stages have {'+'.join(map(str, found_blocks))} blocks, and the network {'+'.join(map(str, blocks))}; "
            "choose its model.depth"
        )
    return renamed


_FIRST = re.compile(r"(^|(?<=\.))(conv1|stem\.0)\.weight$")


class ConvNorm(nn.Sequential):
    """A convolution, padded so that only its stride changes the image size, and batch normalisation."""

    def __init__(self, in_channels: int, out_channels: int, size: int, stride: int, batch_norm: bool) -> None:
        conv = nn.Conv2d(in_channels, out_channels, size, stride, padding=size // 2, bias=not batch_norm)
        super().__init__(conv, *([nn.BatchNorm2d(out_channels)] if batch_norm else []))


class Residual(nn.Module):
    """relu(body(x) + shortcut(x))."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H', W')."""
        return F.relu(self.body(features) + self.shortcut(features))


class PadShortcut(nn.Module):
    """The paper's shortcut "A": every stride-th pixel, new channels filled with zeros; no parameters."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + new_channels, H / stride, W / stride)."""
        before = self.new_channels // 2
        kept = features[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, before, self.new_channels - before))


def basic_body(channels: int, inner: int, size: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """Two convolutions of the same kernel size."""
    return nn.Sequential(
        ConvNorm(channels, inner, size, stride, batch_norm),
        nn.ReLU(inplace=True),
        ConvNorm(inner, inner, size, 1, batch_norm),
    )


def bottleneck_body(channels: int, inner: int, size: int, stride: int, batch_norm: bool) -> nn.Sequential:
    """A 1x1 convolution that narrows, one with the stride, and a 1x1 convolution that widens."""
    return nn.Sequential(
        ConvNorm(channels, inner, 1, 1, batch_norm),
        nn.ReLU(inplace=True),
        ConvNorm(inner, inner, size, stride, batch_norm),
        nn.ReLU(inplace=True),
        ConvNorm(inner, inner * EXPANSION, 1, 1, batch_norm),
    )


def shortcut(channels: int, out: int, stride: int, batch_norm: bool, padded: bool) -> nn.Module:
    """The identity if the shape stays the same; else zero padding (CIFAR family) or a 1x1 convolution."""
    if stride == 1 and channels == out:
        return nn.Identity()
    return PadShortcut(out - channels, stride) if padded else ConvNorm(channels, out, 1, stride, batch_norm)
