"""The density function Phi, computed from its coefficients.

An odd axis of k taps is described by its m = (k - 1) / 2 coefficients, outermost first; the centre is 1 and is
left out, the other half follows by symmetry:

    alpha = [d_0, ..., d_{m-1}, 1, d_{m-1}, ..., d_0]
    Phi   = alpha_1 x alpha_2 x ...                          (outer product, one alpha per axis)

Source: Cammarasana & Patanè, arXiv 2505.24558.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, Protocol

import torch
from torch import Tensor


class Array(Protocol):
    """An array of NumPy, or of a library that has the same methods."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the axes."""
        ...

    def tolist(self) -> Any:
        """Return numbers, or nested lists of them."""
        ...


Coefficients = Sequence[float]
Density = Coefficients | Sequence[Coefficients] | Tensor | Array


def axis_coefficients(
    density: Coefficients | Sequence[Coefficients] | None, kernel_size: Sequence[int]
) -> tuple[tuple[float, ...], ...]:
    """Check coefficients against a kernel size and return them axis by axis.

    Args:
        density: one list for all axes (which must then be of one size), one list per axis, or None for ones.
        kernel_size: number of taps of each axis.

    Returns:
        For each axis its (k - 1) / 2 coefficients, outermost first.

    Raises:
        ValueError: the kernel has an even axis, or a list has the wrong length or holds something other than
            finite numbers.
    """
    check_odd(kernel_size)
    if density is None:
        return tuple((1.0,) * (size // 2) for size in kernel_size)
    if isinstance(density, str) or not isinstance(density, Sequence):
        raise ValueError(_expectation(density, kernel_size))
    lists: list[Any] = list(density) if is_per_axis(density) else [density] * len(kernel_size)
    if len(lists) != len(kernel_size):
        raise ValueError(_expectation(density, kernel_size))
    for coefficients, size in zip(lists, kernel_size, strict=True):
        if len(coefficients) != size // 2 or not all(map(_is_finite_number, coefficients)):
            raise ValueError(_expectation(density, kernel_size))
    return tuple(tuple(float(value) for value in coefficients) for coefficients in lists)


def density_function(coefficients: Sequence[Coefficients | Tensor]) -> Tensor:
    """Return Phi, the outer product of the symmetric vectors that the coefficients define.

    Args:
        coefficients: for each axis the coefficients from the outermost tap inwards, without the centre; numbers, or
            a vector that gradients flow back to.

    Returns:
        Phi of shape (k_1, k_2, ...): for numbers in float64, so that it is rounded only once, to the dtype of the
        weights; for vectors in their dtype.
    """
    phi: Tensor | None = None
    for half in coefficients:
        # Anything but a sequence of numbers is a tensor, or its proxy while torch.fx traces.
        vector: Any = torch.tensor(half, dtype=torch.float64, device="cpu") if isinstance(half, Sequence) else half
        alpha = torch.cat([vector, vector.new_ones(1), vector.flip(0)])
        phi = alpha if phi is None else phi.unsqueeze(-1) * alpha
    return torch.ones((), dtype=torch.float64) if phi is None else phi


def spelled_out(
    density: Density | None, kernel_size: Sequence[int]
) -> Coefficients | Sequence[Coefficients] | Tensor | None:
    """Convert the arrays in a density to lists, or to a tensor if Phi is given tap by tap.

    Args:
        density: as for a layer. A tensor is Phi; an array is Phi if it has the shape of the kernel, else coefficients.
        kernel_size: number of taps of each axis.
    """
    if density is None or isinstance(density, (Tensor, str)):
        return density
    if isinstance(density, Sequence):
        listed: list[Any] = [entry.tolist() if hasattr(entry, "tolist") else entry for entry in density]
        return listed
    if not hasattr(density, "tolist"):
        return density  # type: ignore[return-value]  # axis_coefficients raises the error
    if tuple(density.shape) == tuple(kernel_size):
        return torch.tensor(density.tolist(), dtype=torch.float64, device="cpu")
    listed = density.tolist()
    return listed


def check_odd(kernel_size: Sequence[int]) -> None:
    """Refuse a kernel with an even axis.

    Raises:
        ValueError: an axis is even.
    """
    even = [size for size in kernel_size if size % 2 == 0]
    if even:
        raise ValueError(
            f"a kernel of {'x'.join(map(str, kernel_size))} has no centre tap to be symmetric about; "
            f"the weighted convolution needs odd sizes, e.g. {even[0] + 1} in place of {even[0]}"
        )


def check_phi(phi: Tensor, kernel_size: Sequence[int]) -> Tensor:
    """Check a density function that is given tap by tap, such as a radial one.

    Args:
        phi: of the shape of the kernel, symmetric about its centre on every axis, 1 at the centre.
        kernel_size: number of taps of each axis.

    Returns:
        A copy in float64 on the CPU, without gradient.

    Raises:
        ValueError: `phi` has another shape, is not finite, not symmetric, or not 1 at the centre.
    """
    check_odd(kernel_size)
    exact = phi.detach().to("cpu", torch.float64, copy=True)
    if exact.shape != tuple(kernel_size):
        raise ValueError(
            f"density of shape {tuple(exact.shape)} does not fit a kernel of {tuple(kernel_size)}: "
            "a tensor is Phi tap by tap; give coefficients as a list"
        )
    if not exact.isfinite().all():
        raise ValueError("the density holds values that are not finite")
    symmetric = all(torch.equal(exact, exact.flip(axis)) for axis in range(exact.dim()))
    if not symmetric or exact[tuple(size // 2 for size in kernel_size)] != 1:
        raise ValueError("a density must be symmetric about its centre on every axis, and 1 at the centre")
    return exact


def is_per_axis(density: object) -> bool:
    """Tell one list per axis from one list for all axes."""
    return (
        isinstance(density, Sequence)
        and len(density) > 0
        and all(isinstance(entry, Sequence) and not isinstance(entry, str) for entry in density)
    )


def _is_finite_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def _expectation(density: object, kernel_size: Sequence[int]) -> str:
    """Say what was expected, with an example that can be pasted."""
    sizes = "x".join(map(str, kernel_size))
    halves = [[round((i + 1) / (size // 2 + 1), 2) for i in range(size // 2)] for size in kernel_size]
    if len(set(kernel_size)) == 1:
        count = kernel_size[0] // 2
        example = [density] if count == 1 and _is_finite_number(density) else halves[0]
        expected = f"a list of {count} number{'' if count == 1 else 's'}, e.g. {example}"
    else:
        counts = " and ".join(str(size // 2) for size in kernel_size)
        expected = f"one list per axis, of {counts} numbers, e.g. {halves}"
    return (
        f"density {density!r} does not fit a kernel of {sizes}: expected {expected} "
        "(finite, outermost tap first, without the centre, which is 1)"
    )
