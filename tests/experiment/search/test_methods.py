"""The methods, on functions whose optimum is known; nothing is trained."""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest

from wconv.experiment.search.methods import direct_l, grid, walk

Point = tuple[float, ...]

# Coefficients of Dixon & Szego, Towards Global Optimisation 2, 1978.
WEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])
SHARPNESS = {
    3: np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]]),
    6: np.array(
        [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
    ),
}
CENTRES = {
    3: 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]]),
    6: 1e-4
    * np.array(
        [
            [1312, 1696, 5569, 124, 8283, 5886],
            [2329, 4135, 8307, 3736, 1004, 9991],
            [2348, 1451, 3522, 2883, 3047, 6650],
            [4047, 8828, 8732, 5743, 1091, 381],
        ]
    ),
}


def branin(point: Sequence[float]) -> float:
    x, y = point
    return (y - 5.1 / (4 * np.pi**2) * x**2 + 5 / np.pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x) + 10


def six_hump_camel(point: Sequence[float]) -> float:
    x, y = point
    return (4 - 2.1 * x**2 + x**4 / 3) * x**2 + x * y + (4 * y**2 - 4) * y**2


def hartmann(point: Sequence[float]) -> float:
    size = len(point)
    return -float(WEIGHTS @ np.exp(-(SHARPNESS[size] * (np.array(point) - CENTRES[size]) ** 2).sum(axis=1)))


class Asked:
    """A function that keeps what it was asked for."""

    def __init__(self, function: Callable[[Sequence[float]], float]) -> None:
        self.function = function
        self.points: list[Point] = []
        self.values: list[float] = []

    def __call__(self, point: Sequence[float]) -> float:
        self.points.append(tuple(point))
        assert len(self.points) < 10_000, "it does not end"
        self.values.append(self.function(point))
        return self.values[-1]


FUNCTIONS = [  # optimum, and evaluations within which it is reached: 91, 181, 112 and 255, rounded up
    pytest.param(branin, [(-5, 10), (0, 15)], 0.397887, 100, id="branin"),
    pytest.param(six_hump_camel, [(-3, 3), (-2, 2)], -1.031628, 200, id="six-hump-camel"),
    pytest.param(hartmann, [(0, 1)] * 3, -3.862782, 120, id="hartmann-3"),
    pytest.param(hartmann, [(0, 1)] * 6, -3.322368, 260, id="hartmann-6"),
]


@pytest.mark.parametrize(("function", "bounds", "optimum", "evaluations"), FUNCTIONS)
def test_direct_l_reaches_the_optimum(function, bounds, optimum, evaluations):
    asked = Asked(function)
    direct_l(asked, bounds)
    assert min(asked.values) > optimum - 1e-5  # else the function is another one
    assert min(asked.values[:evaluations]) < optimum + 1e-3
    assert all(low <= x <= high for point in asked.points for x, (low, high) in zip(point, bounds, strict=True))


def test_direct_l_asks_twice_for_the_same_in_the_same_order():
    first, second = Asked(branin), Asked(branin)
    for asked in (first, second):
        direct_l(asked, [(-5, 10), (0, 15)])
    assert first.points == second.points
    assert all(isinstance(x, float) for x in first.points[0])


def test_direct_l_ends_by_itself_on_a_function_of_rounded_values():
    asked = Asked(lambda point: (round(point[0], 3) - 0.85) ** 2)
    direct_l(asked, [(0.5, 1.5)])
    assert abs(asked.points[int(np.argmin(asked.values))][0] - 0.85) < 1e-3
    assert len(asked.points) < 200


def test_what_a_function_raises_ends_direct_l():
    class UsedUp(Exception):
        pass

    def function(point: Sequence[float]) -> float:
        if len(asked.points) > 5:
            raise UsedUp
        return branin(point)

    asked = Asked(function)
    with pytest.raises(UsedUp):
        direct_l(asked, [(-5, 10), (0, 15)])
    assert len(asked.points) == 6


def test_walk_goes_to_the_best_neighbour_and_stops_where_none_is_better():
    asked = Asked(lambda point: 4 * (point[0] - 1.21) ** 2 + (point[1] - 0.9) ** 2)
    walk(asked, [(0.5, 1.5), (0.5, 1.5)], [1.0, 1.0], step=0.1, digits=3)
    assert asked.points == [
        (1.0, 1.0),
        *((0.9, 1.0), (1.1, 1.0), (1.0, 0.9), (1.0, 1.1)),
        *((0.99, 1.0), (1.21, 1.0), (1.1, 0.9), (1.1, 1.1)),  # those of (1.1, 1): the first one is the steepest
        *((1.089, 1.0), (1.331, 1.0), (1.21, 0.9), (1.21, 1.1)),
        *((1.089, 0.9), (1.331, 0.9), (1.21, 0.81), (1.21, 0.99)),
    ]


def test_walk_does_not_go_on_along_a_plain():
    asked = Asked(lambda point: 1.0)
    walk(asked, [(0.5, 1.5)], [1.0], step=0.1, digits=3)
    assert asked.points == [(1.0,), (0.9,), (1.1,)]


def test_walk_stays_within_the_bounds():
    asked = Asked(lambda point: -point[0])
    walk(asked, [(0.5, 1.15)], [2.0], step=0.1, digits=3)
    assert asked.points == [(1.15,), (1.035,), (1.15,)]  # what lies beyond is the bound
    asked = Asked(lambda point: -point[0])
    walk(asked, [(0.5, 1.15)], [1.0], step=0.1, digits=3)
    assert asked.points[-1] == (1.15,)


def test_walk_rounds():
    asked = Asked(lambda point: (point[0] - 1.3) ** 2)
    walk(asked, [(0.5, 1.5)], [1.0], step=0.1, digits=2)
    assert [point[0] for point in asked.points] == [1.0, 0.9, 1.1, 0.99, 1.21, 1.09, 1.33, 1.2, 1.46]


def test_grid_makes_every_combination():
    asked = Asked(sum)
    grid(asked, [(0.5, 1.5), (0.0, 1.0)], 3)
    assert asked.points == list(product((0.5, 1.0, 1.5), (0.0, 0.5, 1.0)))
