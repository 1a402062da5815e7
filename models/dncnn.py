"""DnCNN (Zhang et al., arXiv 1608.03981): a stack of convolutions that estimates the noise of an image."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from models.published import is_kernel, load_weights
from models.vgg import check_kernel_size

_NOT_DNCNN = "the weights are not those of a DnCNN"
AUTHORS_EPS = 1e-4  # of the batch norms in the author's own programs, whose first convolution has a bias


class DnCNN(nn.Module):
    """Map noisy images (N, channels, H, W) to denoised ones of the same shape.

    Names and meaning of the weights are those of the popular port (SaoYan/DnCNN-PyTorch): `dncnn.0.weight`,
    `dncnn.2.weight`, ..., where `dncnn` estimates the noise.

    Args:
        channels: 1 for grey, 3 for colour.
        depth: number of convolutions, 17 or 20 in the paper; at least 3.
        width: number of features.
        kernel_size: 3, 5 or 7; the padding keeps the image size.
        batch_norm: put a batch normalisation behind every convolution but the first and the last.

    Raises:
        ValueError: an argument has another value than these.
    """

    returns: ClassVar = "the noise, which is subtracted from the image"  # shown for third-party weights

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
        self.arguments = {"channels": channels, "depth": depth, "width": width, "kernel_size": kernel_size}
        self.arguments["batch_norm"] = batch_norm
        self._context = depth * (kernel_size // 2)

    @property
    def context(self) -> int:
        """Return the radius, in pixels, of the receptive field of an output pixel in evaluation mode."""
        return self._context

    def forward(self, noisy: Tensor) -> Tensor:
        """Return the image less the estimated noise."""
        residual: Tensor = noisy - self.dncnn(noisy)
        return residual

    @staticmethod
    def is_named_in(state: Mapping[str, Any]) -> bool:
        """Tell whether the names of weights are those of a DnCNN: all kernels are in one `nn.Sequential`."""
        return _container(state) is not None

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Self:
        """Build the network that fits some weights and load them, in evaluation mode.

        Args:
            state: the weights of an `nn.Sequential` of any name: `dncnn.0.weight` in the port and here,
                `model.0.weight` in KAIR, with a prefix `module.` from DataParallel. Convolutions may have biases.

        Raises:
            ValueError: they are not the weights of such a network.
        """
        container = _container(state)
        if container is None:
            found = ", ".join(list(map(str, state))[:3]) or "nothing"
            raise ValueError(f"{_NOT_DNCNN} (no kernel is called dncnn.0.weight, or model.0.weight; found {found})")
        kernels = [value for value in state.values() if is_kernel(value)]
        width, channels, kernel_size, _ = state[f"{container}0.weight"].shape
        batch_norm = any(str(name).endswith("running_mean") for name in state)
        renamed = {re.sub(rf"^{re.escape(container)}(?=\d)", "dncnn.", str(name)): state[name] for name in state}
        kernels_of = {name.removesuffix("weight") for name, value in renamed.items() if is_kernel(value)}
        biases = {name for name in renamed if name.removesuffix("bias") in kernels_of}

        def make() -> Self:
            model = cls(channels, len(kernels), width, kernel_size, batch_norm)
            for name, layer in model.named_modules():
                if isinstance(layer, nn.Conv2d) and f"{name}.bias" in biases:
                    layer.bias = nn.Parameter(torch.zeros(layer.out_channels))
                elif isinstance(layer, nn.BatchNorm2d) and biases:
                    layer.eps = AUTHORS_EPS
            return model

        try:
            return load_weights(make, renamed)
        except ValueError as error:
            raise ValueError(f"{_NOT_DNCNN} ({error})") from error


def _container(state: Mapping[str, Any]) -> str | None:
    """Return the name of the one `nn.Sequential` that holds all kernels, or None."""
    names = [str(name) for name, value in state.items() if is_kernel(value)]
    first = next((name for name in names if f".{name}".endswith(".0.weight")), None)
    if first is None:
        return None
    container = first.removesuffix("0.weight")
    return container if all(re.fullmatch(rf"{re.escape(container)}\d+\.weight", name) for name in names) else None


def check_channels(channels: int) -> None:
    """Refuse any number of channels but 1 and 3."""
    if channels not in (1, 3):
        raise ValueError(f"datamodule.channels={channels}: choose 3 for colour or 1 for grey")


def check_integer(key: str, value: object, least: int, meaning: str) -> None:
    """Refuse anything but an integer of at least `least`, since YAML accepts 0.5 and true as easily as 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{key}={value}: {meaning}")
