"""Methods that try one density after the other: functions that minimise another function within bounds.

They know nothing of trainings. The function raises `EvaluationsUsedUp` where it has been called often enough.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[Sequence[float]], float]
Bounds = Sequence[tuple[float, float]]
CALLS = 1000  # of DIRECT a coefficient, at most: those that find what was tried before cost nothing


def direct_l(function: Function, bounds: Bounds, finest: float = 1e-4) -> None:
    """Divide the box where its halves promise most: DIRECT-L, by SciPy.

    Gablonsky & Kelley, A locally-biased form of the DIRECT algorithm, 2001. It draws nothing, so a search that starts
    again asks for the same densities in the same order.

    Args:
        function: what is minimised.
        bounds: lowest and highest value of each coefficient.
        finest: it ends where the box of the best value has sides so short, as parts of those of the whole. Far below
            the steps of a density, for a small box is no sign that the optimum is in it: with 1e-3, it ends on the
            six-hump camel beside the optimum.
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
        len_tol=finest,
    )


def walk(function: Function, bounds: Bounds, start: Sequence[float], step: float, digits: int) -> None:
    """Change one coefficient at a time by a factor, and go where it is better, until nowhere is.

    The authors advise to try factors of 0.9, 1.0 and 1.1 from the same weights. Made precise: the neighbours of a
    point have one coefficient multiplied by 1 - step or 1 + step; all are tried, and the best one is the next point if
    it is better than this one.

    Args:
        function: what is minimised.
        bounds: lowest and highest value of each coefficient, which no step leaves.
        start: the first point.
        step: see above.
        digits: of a coefficient, behind the point.
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
    """Try every combination of so many values of each coefficient, at equal distances."""
    axes: list[NDArray[Any]] = [np.linspace(low, high, points) for low, high in bounds]
    for point in product(*(axis.tolist() for axis in axes)):
        function(point)
