"""What may be given as a density, and what the authors published of it."""

import numpy as np
import pytest
import torch
from torch import nn

import wconv
from wconv import WeightedConv1d, WeightedConv2d, WeightedConv3d, families

PHI = np.outer([0.7, 1, 0.7], [0.7, 1, 0.7])


@pytest.mark.parametrize(
    "density",
    [[0.7], (0.7,), np.array([0.7]), ([0.7], [0.7]), ((0.7,), (0.7,)), [np.array([0.7]), np.array([0.7])],
     np.array([[0.7], [0.7]]), [np.float64(0.7)], [torch.tensor(0.7, dtype=torch.float64)],
     [torch.tensor([0.7], dtype=torch.float64)] * 2],
    ids=repr,
)  # fmt: skip
@pytest.mark.parametrize("trainable", [False, True])
def test_coefficients_in_any_sequence(density, trainable):
    layer = WeightedConv2d(2, 2, 3, density=density, trainable_density=trainable, dtype=torch.float64)
    assert layer.coefficients == ((0.7,), (0.7,))
    np.testing.assert_allclose(layer.density.detach(), PHI, rtol=1e-15)
    model = wconv.convert(nn.Sequential(nn.Conv2d(2, 2, 3)), {3: density}, trainable=trainable)
    assert str(wconv.summary(model)).splitlines()[1].split()[2] == "0.7"


@pytest.mark.parametrize("phi", [PHI, PHI.astype(np.float32), torch.from_numpy(PHI)], ids=["64", "32", "tensor"])
def test_an_array_of_the_shape_of_the_kernel_is_phi(phi):
    layer = WeightedConv2d(2, 2, 3, density=phi, dtype=torch.float64)
    assert torch.equal(layer.density, torch.as_tensor(phi).double())
    assert layer.coefficients is None


def test_arrays_of_other_dimensions():
    assert WeightedConv1d(1, 1, 5, density=np.array([0.2, 0.8])).coefficients == ((0.2, 0.8),)
    assert WeightedConv1d(1, 1, 3, density=np.array([0.7, 1.0, 0.7])).coefficients is None
    uneven = WeightedConv3d(1, 1, (1, 3, 5), density=[np.array([]), np.array([0.7]), np.array([0.2, 0.8])])
    assert uneven.coefficients == ((), (0.7,), (0.2, 0.8))
    assert WeightedConv3d(1, 1, 3, density=np.full((3, 1), 0.5)).coefficients == ((0.5,),) * 3


@pytest.mark.parametrize("density", [np.array([0.7, 0.7]), np.ones((5, 5)), np.array(0.7), np.array(["a"]), {0.7}, 0.7])
def test_what_does_not_fit_is_refused(density):
    with pytest.raises(ValueError, match="does not fit a kernel"):
        WeightedConv2d(2, 2, 3, density=density)


def test_a_tensor_of_coefficients_is_refused_with_what_to_give():
    with pytest.raises(ValueError, match="a tensor is Phi tap by tap; give coefficients as a list"):
        WeightedConv2d(2, 2, 3, density=torch.tensor([0.7]))


@pytest.mark.parametrize("density", [np.array([0.7]), PHI, np.array([[0.7], [0.7]]), np.full((3, 1), 0.7)])
def test_an_array_that_no_layer_takes_is_a_warning(density):
    with pytest.warns(UserWarning, match="the model has no such convolution"):
        wconv.convert(nn.Sequential(nn.Conv2d(2, 2, 1)), {3: density})


def test_published_values_lie_in_the_published_ranges_but_for_those_of_the_first_version():
    assert {size: len(ranges) for size, ranges in families.RANGES.items()} == {3: 1, 5: 2, 7: 3}
    for name, sizes in families.PUBLISHED.items():
        for size, values in sizes.items():
            inside = [low <= value <= high for value, (low, high) in zip(values, families.RANGES[size], strict=True)]
            assert all(inside) or (name, size) in {("v1 start", 7), ("v2 2-D", 7)}
