"""VGG for small images (Simonyan & Zisserman, arXiv 1409.1556), in the form used for CIFAR.

Five stages of 3x3 convolutions, each ended by a 2x2 max pooling, so 32x32 pixels become 1x1.
"""

from torch import Tensor, nn

# Convolutions in each of the five stages.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
CHANNELS = (64, 128, 256, 512, 512)
HIDDEN = 4096


class VGG(nn.Module):
    """Map images (N, in_channels, H, W), H and W at least 32, to logits (N, num_classes).

    Args:
        num_classes: number of logits.
        in_channels: 3 for colour, 1 for grey.
        depth: 11, 13, 16 or 19 layers with weights (counted as in the paper, with the three-layer head).
        width: factor on the number of channels.
        batch_norm: put a batch normalisation behind every convolution.
        head: "linear", one layer; or "mlp", the two hidden layers of 4096 with dropout of the paper.
        kernel_size: 3, 5 or 7; the padding keeps the image size.

    Raises:
        ValueError: an argument has another value than these.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 3,
        depth: int = 16,
        width: float = 1.0,
        batch_norm: bool = True,
        head: str = "linear",
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ValueError(f"model.depth={depth}: VGG comes in depths {', '.join(map(str, STAGES))}")
        if head not in ("linear", "mlp"):
            raise ValueError(f"model.head={head}: VGG has the heads linear and mlp")
        check_kernel_size(kernel_size)
        layers: list[nn.Module] = []
        channels = in_channels
        for convolutions, base in zip(STAGES[depth], CHANNELS, strict=True):
            wide = scale_channels(base, width)
            for _ in range(convolutions):
                layers.append(nn.Conv2d(channels, wide, kernel_size, padding=kernel_size // 2))
                if batch_norm:
                    layers.append(nn.BatchNorm2d(wide))
                layers.append(nn.ReLU(inplace=True))
                channels = wide
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)  # the identity for 32x32 images
        self.classifier = (
            nn.Linear(channels, num_classes)
            if head == "linear"
            else nn.Sequential(
                nn.Linear(channels, HIDDEN),
                nn.ReLU(inplace=True),
                nn.Dropout(),
                nn.Linear(HIDDEN, HIDDEN),
                nn.ReLU(inplace=True),
                nn.Dropout(),
                nn.Linear(HIDDEN, num_classes),
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        return self.classifier(self.pool(self.features(images)).flatten(1))


def scale_channels(channels: int, width: float) -> int:
    """Return a number of channels times the width multiplier, at least 1."""
    if width <= 0:
        raise ValueError(f"model.width={width}: the width multiplier must be above 0, e.g. 0.25")
    return max(1, round(channels * width))


def check_kernel_size(kernel_size: int) -> None:
    """Refuse any kernel size but 3, 5 and 7."""
    if kernel_size not in (3, 5, 7):
        raise ValueError(f"model.kernel_size={kernel_size}: the backbones have kernels of 3, 5 or 7")
