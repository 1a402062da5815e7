"""The weighted convolution layer.

    y = conv(x, W * Phi) + b            (elementwise product, Phi fixed)

Source: Cammarasana & Patanè, arXiv 2505.24558.
"""

from typing import Any

import torch
from torch import Tensor, nn

from wconv.density import Density, axis_coefficients, density_function


class WeightedConv2d(nn.Conv2d):
    """Convolve (N, C, H, W) with a kernel that is multiplied, tap by tap, by a fixed symmetric density.

    The parameters are those of `torch.nn.Conv2d`, under the same names; the density is a buffer that is left out
    of the state_dict, so a checkpoint of either layer loads into the other.

    Args:
        in_channels: as in `torch.nn.Conv2d`, like all that follow up to `dtype`.
        out_channels: see there.
        kernel_size: see there; odd on each axis.
        stride: see there.
        padding: see there.
        dilation: see there.
        groups: see there.
        bias: see there.
        padding_mode: see there.
        device: see there.
        dtype: see there.
        density: coefficients from the outermost tap inwards, without the centre, which is 1: one list for both
            axes (`[0.7]` for 3x3), or one an axis (`([0.7], [0.2, 0.8])` for 3x5). None means ones.

    Raises:
        ValueError: the kernel is even, or the density does not fit it.
    """

    density: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: str | int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: torch.dtype | None = None,
        density: Density | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,  # type: ignore[arg-type]
            device,
            dtype,
        )
        self.coefficients = axis_coefficients(density, self.kernel_size)
        self.reset_density()

    def reset_density(self) -> None:
        """Make Phi, of shape (k_h, k_w), from the coefficients, with the device and dtype of the weights."""
        phi = density_function(self.coefficients).to(device=self.weight.device, dtype=self.weight.dtype)
        self.register_buffer("density", phi, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Return conv(input, W * Phi) + b for an input of (N, C, H, W) or (C, H, W)."""
        output: Tensor = self._conv_forward(input, self.weight * self.density, self.bias)
        return output

    def extra_repr(self) -> str:
        """Add the density to what `torch.nn.Conv2d` prints."""
        axes = [list(half) for half in self.coefficients]
        plain = super().extra_repr()  # type: ignore[no-untyped-call]
        return f"{plain}, density={axes[0] if axes[0] == axes[1] else axes}"
