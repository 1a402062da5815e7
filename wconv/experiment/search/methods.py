"""Sequential search methods: each minimises a function of the coefficients within bounds.

They know nothing about training. The function raises `EvaluationsUsedUp` when the budget is used up.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[Sequence[float]], float]
Bounds = Sequence[tuple[float, float]]
# DIRECT ends when the sides of the box with the best value are this short, relative to the bounds. That is far
# below the resolution of a density: with a coarser limit, DIRECT could end in a box without the optimum (with 1e-3 it
# does, on the six-hump camel).
FINEST = 1e-4
CALLS = 1000  # limit of DIRECT per coefficient; repeated calls cost nothing


def direct_l(function: Function, bounds: Bounds) -> None:
    """Divide the most promising boxes: SciPy's DIRECT-L.

    Gablonsky & Kelley, A locally-biased form of the DIRECT algorithm, 2001. It is deterministic, so a search that is
    restarted asks for the same densities in the same order.

    Args:
        function: the function to minimise.
        bounds: lowest and highest value of each coefficient.
    """
    from scipy.optimize import direct

    most = CALLS * len(bounds)
    direct(
        lambda values: function(values.tolist()),
        bounds,
        locally_biased=True,
        maxfun=most,
        maxiter=most,
        vol_tol=0.0,
        len_tol=FINEST,
    )


def walk(function: Function, bounds: Bounds, start: Sequence[float], step: float, digits: int) -> None:
    """Hill climbing: change one coefficient at a time by a factor, until no neighbour is better.

    The authors advise to try factors of 0.9, 1.0 and 1.1 from the same weights. Here, the neighbours of a point have
    one coefficient multiplied by 1 - step or 1 + step; all are tried, and the best one becomes the next point if it is
    better than the current one.

    Args:
        function: the function to minimise.
        bounds: lowest and highest value of each coefficient; steps are clipped to them.
        start: the first point.
        step: see above.
        digits: decimals of a coefficient.
    """
    here = _clipped(start, bounds, digits)
    value = function(here)
    while True:
        neighbours = [
            _clipped([*here[:place], here[place] * factor, *here[place + 1 :]], bounds, digits)
            for place in range(len(here))
            for factor in (1 - step, 1 + step)
        ]
        best, point = min((function(neighbour), neighbour) for neighbour in neighbours)
        if best >= value:
            return
        here, value = point, best


def _clipped(point: Sequence[float], bounds: Bounds, digits: int) -> list[float]:
    return [round(min(max(value, low), high), digits) for value, (low, high) in zip(point, bounds, strict=True)]


def grid(function: Function, bounds: Bounds, points: int) -> None:
    """Try every combination of `points` equally spaced values of each coefficient."""
    axes: list[NDArray[Any]] = [np.linspace(low, high, points) for low, high in bounds]
    for point in product(*(axis.tolist() for axis in axes)):
        function(point)
