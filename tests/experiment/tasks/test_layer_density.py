"""Densities of single layers, by name, before those of their kernel sizes."""

import warnings

import pytest
import torch
from torch import nn

import wconv
from models.resnet import ResNet
from models.vgg import VGG
from wconv.experiment.tasks import arms
from wconv.experiment.tasks.ablation import ablation

BY_SIZE = {"k3": [0.7], "k5": [0.2, 0.8]}


def densities(model: nn.Module) -> dict[str, tuple[float, ...] | None]:
    return {layer.name: layer.density[0] if layer.density else None for layer in wconv.summary(model)}


def mixed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 5), nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 1))


def test_the_density_of_a_name_wins_over_that_of_the_kernel_size():
    assert densities(arms.weighted(mixed(), BY_SIZE, {"2": [0.5]})) == {
        "0": (0.7,), "1": (0.2, 0.8), "2": (0.5,), "3": None,
    }  # fmt: skip


def test_a_density_is_for_those_layers_of_its_name_whose_kernels_it_fits():
    model = arms.weighted(mixed(), {"k3": None}, {"*": [0.5, 0.9]})
    assert densities(model) == {"0": None, "1": (0.5, 0.9), "2": None, "3": None}
    assert wconv.summary(model)[3].note == "no density for this kernel size"


def test_wildcards_mean_several_layers():
    found = densities(arms.weighted(ResNet(10, depth=20), BY_SIZE, {"blocks.[345].*": [0.5]}))
    halves = {name for name, density in found.items() if density == (0.5,)}
    assert halves == {f"blocks.{block}.body.{place}.0" for block in (3, 4, 5) for place in (0, 2)}
    assert found["blocks.0.body.0.0"] == (0.7,)


def test_nothing_is_warned_of_where_every_layer_has_its_own():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arms.weighted(mixed(), BY_SIZE, {"0": [0.5], "1": [0.3, 0.9], "2": [0.6]})


@pytest.mark.parametrize(
    ("by_name", "message"),
    [
        ({"features.1": [0.5]}, r"no convolution of this model is called features\.1; did you mean features\.\d"),
        ({"features.0": [0.5, 0.7]}, r"features\.0: density \[0\.5, 0\.7\] does not fit a kernel of 3x3"),
        ({"features.*": [float("nan")]}, r"features\.\*: density \[nan\] does not fit"),
        ({"features.*": [0.5], "features.0": [0.7]}, r"both features\.\* and features\.0 are for layer features\.0"),
    ],
)
def test_a_name_without_a_layer_of_its_own_is_refused(by_name, message):
    with pytest.raises(ValueError, match=f"^conv.layer_density: {message}"):
        arms.weighted(VGG(10, depth=11, width=0.05), BY_SIZE, by_name)


def test_layers_that_cannot_be_weighted_are_refused_by_name():
    class Own(nn.Conv2d):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return input

    with (
        pytest.raises(ValueError, match="0 names only layers that cannot be weighted"),
        pytest.warns(UserWarning, match="Own"),
    ):
        arms.weighted(nn.Sequential(Own(1, 1, 3)), BY_SIZE, {"0": [0.5]})


def test_trained_densities_start_there_and_are_shared_within_an_entry():
    model = arms.trainable(mixed(), {"k3": None}, share=True, layer_density={"[02]": [0.5]})
    (density,) = wconv.density_parameters(model)
    assert density.tolist() == [0.5]
    assert model[0].density_coefficients is model[2].density_coefficients


def test_the_controls_start_from_the_function_of_the_weighted_arm():
    by_name = {"2": [0.5]}
    expected = wconv.fold(arms.weighted(mixed(), BY_SIZE, by_name))
    for model in (
        arms.scaled_init(mixed(), BY_SIZE, by_name),
        ablation(mixed(), BY_SIZE, "phi", False, False, by_name),
    ):
        for layer, same in zip(model, expected, strict=True):
            assert torch.equal(layer.weight, same.weight)


def test_a_zero_that_is_divided_by_is_told_by_its_layer():
    with pytest.raises(ValueError, match=r"the density of 2, \[0\.0\]: conv.start"):
        ablation(mixed(), BY_SIZE, "none", True, False, {"2": [0.0]})
