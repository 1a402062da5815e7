import pytest
import torch

from wconv.density import axis_coefficients, density_function


def test_phi_is_the_outer_product_of_the_symmetric_vectors():
    phi = density_function([[0.2, 0.8], [0.7]])
    rows = torch.tensor([0.2, 0.8, 1, 0.8, 0.2], dtype=torch.float64)
    columns = torch.tensor([0.7, 1, 0.7], dtype=torch.float64)
    assert torch.equal(phi, torch.outer(rows, columns))


def test_phi_of_a_single_tap_is_one():
    assert torch.equal(density_function([[], []]), torch.ones(1, 1, dtype=torch.float64))


def test_one_list_serves_all_axes_of_one_size():
    assert axis_coefficients([0.7], (3, 3)) == ((0.7,), (0.7,))
    assert axis_coefficients(([0.7], [0.2, 0.8]), (3, 5)) == ((0.7,), (0.2, 0.8))
    assert axis_coefficients(None, (1, 7)) == ((), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "density", [[], [0.7, 0.8], ["a"], [float("nan")], [float("inf")], "0.7", [True], [[0.7]], [[0.7], [0.7], [1]]]
)
def test_what_does_not_fit_is_refused_with_an_example(density):
    with pytest.raises(ValueError, match=r"3x3: expected a list of 1 number, e\.g\. \[0\.5\]"):
        axis_coefficients(density, (3, 3))


def test_a_bare_number_is_refused_with_the_list_that_it_stands_for():
    with pytest.raises(ValueError, match=r"3x3: expected a list of 1 number, e\.g\. \[0\.7\]"):
        axis_coefficients(0.7, (3, 3))


def test_the_example_for_an_uneven_kernel_is_itself_valid():
    with pytest.raises(ValueError, match=r"3x5") as error:
        axis_coefficients([0.7], (3, 5))
    assert "[[0.5], [0.33, 0.67]]" in str(error.value)
    assert axis_coefficients([[0.5], [0.33, 0.67]], (3, 5)) == ((0.5,), (0.33, 0.67))


def test_even_kernels_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"no centre tap.*5 in place of 4"):
        axis_coefficients([0.7], (4, 4))
