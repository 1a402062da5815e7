import math

import pytest
import torch

from wconv import families
from wconv.density import axis_coefficients, density_function


def test_values_by_hand():
    assert families.constant(5, 0.7) == [0.7, 0.7]
    assert families.constant(3) == [1.0]
    assert families.gaussian(5, 2.0) == pytest.approx([0.6065306597, 0.8824969026])  # exp(-4 / 8), exp(-1 / 8)
    assert families.exponential(5, 2.0) == pytest.approx([0.3678794412, 0.6065306597])  # exp(-1), exp(-1 / 2)
    assert families.linear(7, 0.4) == pytest.approx([0.4, 0.6, 0.8])
    assert families.linear(5, 0.0) == pytest.approx([0.0, 0.5])
    assert families.linear(5, 2.0) == pytest.approx([2.0, 1.5])


@pytest.mark.parametrize(
    "make", [families.constant, lambda k: families.gaussian(k, 1), lambda k: families.linear(k, 0.5)]
)
def test_a_single_tap_has_no_coefficients(make):
    assert make(1) == []


@pytest.mark.parametrize(
    ("name", "kernel_size", "expected"),
    [
        ("v1 start", 3, [0.5]),
        ("v1 start", 5, [0.3, 1.5]),
        ("v1 start", 7, [0.06, 1.2, 1.6]),
        ("v2 2-D", 3, [0.7]),
        ("v2 2-D", 5, [0.2, 0.8]),
        ("v2 2-D", 7, [0.25, 0.15, 0.55]),
        ("v2 3-D", 3, [0.8]),
        ("v2 3-D", 5, [0.1, 0.7]),
        ("v2 trainable", 7, [0.27, 0.17, 0.54]),
    ],
)
def test_published_values(name, kernel_size, expected):
    assert families.published(name, kernel_size) == expected
    assert axis_coefficients(expected, (kernel_size, kernel_size)) == (tuple(expected),) * 2


def test_nothing_else_is_published():
    assert {name: list(sizes) for name, sizes in families.PUBLISHED.items()} == {
        "v1 start": [3, 5, 7], "v2 2-D": [3, 5, 7], "v2 3-D": [3, 5], "v2 trainable": [7]
    }  # fmt: skip


def test_a_published_list_is_a_copy():
    families.published("v2 2-D", 3).append(1.0)
    assert families.published("v2 2-D", 3) == [0.7]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: families.published("v3", 3), "no published density 'v3'; there are v1 start, v2 2-D"),
        (lambda: families.published("v2 3-D", 7), "kernel sizes 3, 5, not 7"),
        (lambda: families.gaussian(3, 0), "sigma=0"),
        (lambda: families.gaussian(3, -1.0), "sigma=-1.0"),
        (lambda: families.exponential(3, 0.0), "length=0.0"),
        (lambda: families.constant(4), "kernel_size=4.*odd"),
        (lambda: families.linear(0, 0.5), "kernel_size=0.*odd"),
        (lambda: families.gaussian(-3, 1.0), "kernel_size=-3.*odd"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_gaussian_is_radial(dimensions):
    phi = density_function([families.gaussian(7, 1.7)] * dimensions)
    offsets = torch.cartesian_prod(*[torch.arange(-3, 4, dtype=torch.float64)] * dimensions)
    radial = torch.exp(-offsets.square().sum(1) / (2 * 1.7**2)).reshape(phi.shape)
    assert torch.allclose(phi, radial, rtol=1e-12, atol=0)


def test_the_exponential_is_not():
    phi = density_function([families.exponential(7, 1.7)] * 2)
    assert phi[0, 3] == pytest.approx(math.exp(-3 / 1.7))
    assert phi[1, 1] == pytest.approx(math.exp(-4 / 1.7))  # by the sum of the distances, not their length
