"""Named densities: coefficients as a function of the distance from the centre, and those the authors published."""

import math
from collections.abc import Callable

# By name and kernel size; outermost first. The sources are the READMEs of the authors' two repositories, as collected
# in 2026: v1 is github.com/cammarasana123/weightedConvolution, v2 is weightedConvolution2.0.
PUBLISHED: dict[str, dict[int, list[float]]] = {
    "v1 start": {3: [0.5], 5: [0.3, 1.5], 7: [0.06, 1.2, 1.6]},  # v1, suggested start of a search
    "v2 2-D": {3: [0.7], 5: [0.2, 0.8], 7: [0.25, 0.15, 0.55]},  # v2, examples; 7x7 best on a denoising task
    "v2 3-D": {3: [0.8], 5: [0.1, 0.7]},  # v2, examples
    "v2 trainable": {7: [0.27, 0.17, 0.54]},  # v2, start of the trained density
}

# By kernel size: for each coefficient, outermost first, the lowest and the highest value that the authors suggest to
# search (README of v2).
RANGES: dict[int, list[tuple[float, float]]] = {
    3: [(0.5, 1.5)],
    5: [(0.05, 1.0), (0.5, 1.5)],
    7: [(0.05, 0.5), (0.15, 1.0), (0.25, 1.5)],
}


def published(name: str, kernel_size: int) -> list[float]:
    """Return coefficients that the authors published.

    Args:
        name: a key of `PUBLISHED`.
        kernel_size: taps per axis.

    Raises:
        ValueError: there are none of that name or size.
    """
    if name not in PUBLISHED:
        raise ValueError(f"no published density {name!r}; there are {', '.join(PUBLISHED)}")
    sizes = PUBLISHED[name]
    if kernel_size not in sizes:
        raise ValueError(f"{name!r} has densities for kernel sizes {', '.join(map(str, sizes))}, not {kernel_size}")
    return list(sizes[kernel_size])


def constant(kernel_size: int, value: float = 1.0) -> list[float]:
    """Return the same coefficient for every tap but the centre."""
    return _by_distance(kernel_size, lambda distance: value)


def gaussian(kernel_size: int, sigma: float) -> list[float]:
    """Return exp(-r^2 / (2 sigma^2)) at r taps from the centre; the outer product is then radial."""
    if sigma <= 0:
        raise ValueError(f"sigma={sigma}: expected a number of taps above 0")
    return _by_distance(kernel_size, lambda distance: math.exp(-(distance**2) / (2 * sigma**2)))


def exponential(kernel_size: int, length: float) -> list[float]:
    """Return exp(-r / length) at r taps from the centre."""
    if length <= 0:
        raise ValueError(f"length={length}: expected a number of taps above 0")
    return _by_distance(kernel_size, lambda distance: math.exp(-distance / length))


def linear(kernel_size: int, edge: float) -> list[float]:
    """Return a straight line from 1 at the centre to `edge` at the outermost tap."""
    return _by_distance(kernel_size, lambda distance: 1 - (1 - edge) * distance / (kernel_size // 2))


def _by_distance(kernel_size: int, value: Callable[[int], float]) -> list[float]:
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size}: the weighted convolution needs an odd number of taps")
    return [value(distance) for distance in range(kernel_size // 2, 0, -1)]
