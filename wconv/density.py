"""Coefficients to density function Phi.

An odd axis of k taps is described by its m = (k - 1) / 2 coefficients, outermost first; the centre is 1 and is
left out, the other half follows by symmetry:

    alpha = [d_0, ..., d_{m-1}, 1, d_{m-1}, ..., d_0]
    Phi   = alpha_1 x alpha_2 x ...                          (outer product, one alpha an axis)

Source: Cammarasana & Patanè, arXiv 2505.24558.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch

Coefficients = Sequence[float]
Density = Coefficients | Sequence[Coefficients]


def axis_coefficients(density: Density | None, kernel_size: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
    """Check a density against a kernel size and spell it out axis by axis.

    Args:
        density: one list for all axes (which must then be of one size), one list an axis, or None for ones.
        kernel_size: number of taps of each axis.

    Returns:
        For each axis its (k - 1) / 2 coefficients, outermost first.

    Raises:
        ValueError: the kernel has an even axis, or a list has the wrong length or holds something other than
            finite numbers.
    """
    even = [size for size in kernel_size if size % 2 == 0]
    if even:
        raise ValueError(
            f"a kernel of {'x'.join(map(str, kernel_size))} has no centre tap to be symmetric about; "
            f"the weighted convolution needs odd sizes, e.g. {even[0] + 1} in place of {even[0]}"
        )
    if density is None:
        return tuple((1.0,) * (size // 2) for size in kernel_size)
    if isinstance(density, str) or not isinstance(density, Sequence):
        raise ValueError(_expectation(density, kernel_size))
    nested = len(density) > 0 and all(isinstance(entry, Sequence) and not isinstance(entry, str) for entry in density)
    lists: list[Any] = list(density) if nested else [density] * len(kernel_size)
    if len(lists) != len(kernel_size):
        raise ValueError(_expectation(density, kernel_size))
    for coefficients, size in zip(lists, kernel_size, strict=True):
        if len(coefficients) != size // 2 or not all(map(_is_finite_number, coefficients)):
            raise ValueError(_expectation(density, kernel_size))
    return tuple(tuple(float(value) for value in coefficients) for coefficients in lists)


def density_function(coefficients: Sequence[Coefficients]) -> torch.Tensor:
    """Return Phi as the outer product of the symmetric vectors that the coefficients stand for.

    Args:
        coefficients: for each axis the coefficients from the outermost tap inwards, without the centre.

    Returns:
        Phi of shape (k_1, k_2, ...) in float64, so that it is rounded once, to the dtype of the weights.
    """
    phi = torch.ones((), dtype=torch.float64)
    for half in coefficients:
        alpha = torch.tensor([*half, 1.0, *reversed(half)], dtype=torch.float64)
        phi = phi.unsqueeze(-1) * alpha
    return phi


def _is_finite_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _expectation(density: object, kernel_size: tuple[int, ...]) -> str:
    """Say what was expected, with an example that can be pasted."""
    sizes = "x".join(map(str, kernel_size))
    halves = [[round((i + 1) / (size // 2 + 1), 2) for i in range(size // 2)] for size in kernel_size]
    same = len(set(kernel_size)) == 1
    expected = (
        f"{_count(kernel_size[0] // 2)}, e.g. {halves[0]}"
        if same
        else f"a list an axis of {' and '.join(str(size // 2) for size in kernel_size)} numbers, e.g. {halves}"
    )
    return (
        f"density {density!r} does not fit a kernel of {sizes}: expected {expected} "
        "(finite, outermost tap first, without the centre, which is 1)"
    )


def _count(numbers: int) -> str:
    return f"{numbers} number" + ("" if numbers == 1 else "s")
