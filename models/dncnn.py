"""DnCNN (Zhang et al., arXiv 1608.03981): a stack of convolutions that estimates the noise of an image."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor, nn

from models.vgg import check_kernel_size


class DnCNN(nn.Module):
    """Map noisy images (N, channels, H, W) to denoised ones of the same shape.

    Names and meaning of the weights are those of the widespread port (SaoYan/DnCNN-PyTorch): `dncnn.0.weight`,
    `dncnn.2.weight`, ..., and what `dncnn` returns is the noise.

    Args:
        channels: 1 for grey, 3 for colour.
        depth: number of convolutions, 17 or 20 in the paper; at least 3.
        width: number of features.
        kernel_size: 3, 5 or 7; the padding keeps the image size.
        batch_norm: put a batch normalisation behind every convolution but the first and the last.

    Raises:
        ValueError: an argument has another value than these.
    """

    def __init__(
        self, channels: int = 1, depth: int = 17, width: int = 64, kernel_size: int = 3, batch_norm: bool = True
    ) -> None:
        super().__init__()
        check_channels(channels)
        check_integer("model.depth", depth, 3, "DnCNN has a first, a last and some convolutions between, e.g. 17")
        check_integer("model.width", width, 1, "the number of features is a whole number from 1 up, e.g. 64")
        check_kernel_size(kernel_size)

        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, kernel_size, padding=kernel_size // 2, bias=False)

        layers: list[nn.Module] = [conv(channels, width), nn.ReLU(inplace=True)]
        for _ in range(depth - 2):
            layers.append(conv(width, width))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU(inplace=True))
        self.dncnn = nn.Sequential(*layers, conv(width, channels))
        self._context = depth * (kernel_size // 2)

    @property
    def context(self) -> int:
        """Return how many pixels around it an output pixel depends on, in evaluation mode."""
        return self._context

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the image less the estimated noise."""
        residual: Tensor = noisy - self.dncnn(noisy)
        return residual

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor]) -> Self:
        """Return the network that a file of weights is for, with these weights, in evaluation mode.

        Args:
            state: what the port's files hold; `module.`, which DataParallel puts before every name, may be there.

        Raises:
            ValueError: they are not the weights of such a network.
        """
        state = {str(name).removeprefix("module."): value for name, value in state.items()}
        kernels = [value for value in state.values() if isinstance(value, Tensor) and value.dim() == 4]
        if not any(kernel is state.get("dncnn.0.weight") for kernel in kernels):
            found = ", ".join(list(state)[:3]) or "nothing"
            raise ValueError(f"{_NOT_DNCNN} (no kernel is called dncnn.0.weight; found {found})")
        try:
            width, channels, kernel_size, _ = state["dncnn.0.weight"].shape
            batch_norm = any(name.endswith("running_mean") for name in state)
            model = cls(channels, len(kernels), width, kernel_size, batch_norm)
            # Files from before PyTorch 0.4.1 lack num_batches_tracked, and load_state_dict knows.
            model.load_state_dict(state)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{_NOT_DNCNN} ({' '.join(str(error).split())[:200]})") from error
        return model.eval()


_NOT_DNCNN = "the weights are not those of a DnCNN without biases, as train.py and SaoYan/DnCNN-PyTorch write them"


def check_channels(channels: int) -> None:
    """Refuse the numbers of channels that no image here has."""
    if channels not in (1, 3):
        raise ValueError(f"datamodule.channels={channels}: choose 3 for colour or 1 for grey")


def check_integer(key: str, value: object, least: int, meaning: str) -> None:
    """Refuse what is not a whole number from `least` up; in YAML 0.5 and true are as easily written as 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{key}={value}: {meaning}")
