"""DnCNN (Zhang et al., arXiv 1608.03981): a stack of 3x3 convolutions that estimates the noise of an image."""

from torch import Tensor, nn


class DnCNN(nn.Module):
    """Map noisy images (N, channels, H, W) to denoised ones of the same shape.

    Names of weights are those of the widespread port (`dncnn.0.weight`, `dncnn.2.weight`, ...).

    Args:
        channels: 1 for grey, 3 for colour.
        depth: number of convolutions, 17 or 20 in the paper; at least 3.
        width: number of features.
        kernel_size: odd; the padding keeps the image size.
    """

    def __init__(self, channels: int = 1, depth: int = 17, width: int = 64, kernel_size: int = 3) -> None:
        super().__init__()

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)

        layers: list[nn.Module] = [conv(channels, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers += [conv(width, width), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        self.dncnn = nn.Sequential(*layers, conv(width, channels))

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the image less the estimated noise."""
        return noisy - self.dncnn(noisy)
