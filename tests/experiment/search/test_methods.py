"""The methods on functions whose minimum is known, and on what they promise."""

import math

import numpy as np
import pytest

from wconv.experiment.search.methods import direct_l, grid, walk

# Dixon & Szegö 1978, with the constants of Hartmann's functions as in Surjanovic & Bingham's collection.
ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
A3 = np.array([[3, 10, 30], [0.1, 10, 35], [3, 10, 30], [0.1, 10, 35]])
P3 = 1e-4 * np.array([[3689, 1170, 2673], [4699, 4387, 7470], [1091, 8732, 5547], [381, 5743, 8828]])
A6 = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
P6 = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(x):
    first = x[1] - 5.1 / (4 * math.pi**2) * x[0] ** 2 + 5 / math.pi * x[0] - 6
    return first**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x[0]) + 10


def camel(x):
    return (4 - 2.1 * x[0] ** 2 + x[0] ** 4 / 3) * x[0] ** 2 + x[0] * x[1] + (-4 + 4 * x[1] ** 2) * x[1] ** 2


def hartmann(a, p):
    return lambda x: float(-(ALPHA * np.exp(-(a * (np.array(x) - p) ** 2).sum(1))).sum())


class Counted:
    """A function that knows how often it was called, and ends a method as the search does."""

    def __init__(self, function, most=math.inf):
        self.function, self.most, self.values, self.points = function, most, [], []

    def __call__(self, point):
        if len(self.values) >= self.most:
            raise StopIteration
        self.points.append(tuple(point))
        self.values.append(self.function(point))
        return self.values[-1]


@pytest.mark.parametrize(
    ("function", "bounds", "optimum", "evaluations"),
    [
        (branin, [(-5, 10), (0, 15)], 0.39788736, 200),
        (camel, [(-3, 3), (-2, 2)], -1.03162845, 200),
        (hartmann(A3, P3), [(0, 1)] * 3, -3.86278215, 200),
        (hartmann(A6, P6), [(0, 1)] * 6, -3.32236801, 600),
    ],
    ids=["Branin", "six-hump camel", "Hartmann 3", "Hartmann 6"],
)
def test_direct_l_comes_to_a_thousandth_of_the_optimum(function, bounds, optimum, evaluations):
    counted = Counted(function, evaluations)
    with pytest.raises(StopIteration):
        direct_l(counted, bounds, finest=1e-6)
    assert len(counted.values) == evaluations
    assert optimum <= min(counted.values) <= optimum + 1e-3


def test_direct_l_asks_for_the_same_points_again():
    first, again = Counted(branin), Counted(branin)
    for counted in (first, again):
        direct_l(counted, [(-5, 10), (0, 15)])
    assert first.points == again.points


def test_a_walk_ends_where_no_neighbour_is_better():
    bowl = Counted(lambda point: (point[0] - 0.5) ** 2 + (point[1] - 1.0) ** 2)
    walk(bowl, [(0.05, 1.0), (0.5, 1.5)], [0.2, 0.8], 0.1, 3)
    best = bowl.points[int(np.argmin(bowl.values))]
    assert bowl.points[0] == (0.2, 0.8)
    assert {(0.18, 0.8), (0.22, 0.8), (0.2, 0.72), (0.2, 0.88)} <= set(bowl.points[1:5])
    tried = dict(zip(bowl.points, bowl.values, strict=True))
    for place in (0, 1):
        for factor in (0.9, 1.1):
            neighbour = tuple(round(value * (factor if at == place else 1), 3) for at, value in enumerate(best))
            assert tried[neighbour] >= tried[best]


def test_a_walk_stays_within_its_bounds():
    slope = Counted(lambda point: -point[0])
    walk(slope, [(0.5, 1.5)], [1.0], 0.1, 3)
    assert max(slope.points) == (1.5,)
    assert slope.points[int(np.argmin(slope.values))] == (1.5,)


def test_a_grid_has_every_combination():
    flat = Counted(lambda point: 0.0)
    grid(flat, [(0.3, 1.5), (0.5, 1.0)], 3)
    assert [tuple(round(value, 6) for value in point) for point in flat.points] == [
        (first, second) for first in (0.3, 0.9, 1.5) for second in (0.5, 0.75, 1.0)
    ]
