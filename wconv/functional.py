"""The weighted convolution as functions: y = conv(x, W * Phi) + b.

Source: Cammarasana & Patanè, arXiv 2505.24558.
"""

import torch.nn.functional as F
from torch import Tensor

Sizes = int | tuple[int, ...]


def weighted(weight: Tensor, density: Tensor) -> Tensor:
    """Return W * Phi.

    Args:
        weight: W, (out_channels, in_channels / groups, k_1, ...).
        density: Phi, (k_1, ...).

    Returns:
        The product, in the dtype and memory format of W. Autograd saves only Phi for it, nothing as large as W.

    Raises:
        ValueError: Phi is not of the kernel's shape.
    """
    check_fits(density, weight)
    return weight * density


def check_fits(density: Tensor, weight: Tensor) -> None:
    """Refuse a Phi that would only fit the kernel by broadcasting.

    Raises:
        ValueError: it is not of the kernel's shape.
    """
    if density.shape != weight.shape[2:]:
        raise ValueError(
            f"density of shape {tuple(density.shape)} does not fit a kernel of {tuple(weight.shape[2:])}: "
            "expected Phi tap by tap"
        )


def weighted_conv1d(
    input: Tensor,
    weight: Tensor,
    density: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, L) with W * Phi; arguments as in `torch.nn.functional.conv1d`, and Phi of (k,)."""
    return F.conv1d(input, weighted(weight, density), bias, stride, padding, dilation, groups)


def weighted_conv2d(
    input: Tensor,
    weight: Tensor,
    density: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, H, W) with W * Phi; arguments as in `torch.nn.functional.conv2d`, and Phi of (k_h, k_w)."""
    return F.conv2d(input, weighted(weight, density), bias, stride, padding, dilation, groups)


def weighted_conv3d(
    input: Tensor,
    weight: Tensor,
    density: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: str | Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve (N, C, D, H, W) with W * Phi; arguments as in `torch.nn.functional.conv3d`, and Phi of the kernel."""
    return F.conv3d(input, weighted(weight, density), bias, stride, padding, dilation, groups)
