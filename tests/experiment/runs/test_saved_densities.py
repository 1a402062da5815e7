"""What a saved run says of its densities, by which rows of a comparison are told apart."""

from pathlib import Path
from typing import Any

import pytest

from tests.experiment.conftest import MakeRun
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.runs.saved_runs import read_run

SIZES = {"features.0": [3, 3], "features.2": [3, 3], "features.10": [3, 3], "head": [1, 1]}


@pytest.fixture
def make(make_run: MakeRun) -> Any:
    def make(name: str, by_layer: dict[str, list[float]] | None, conv: str = "weighted", seed: int = 0) -> Path:
        """Write a run whose layers were given densities by their full names."""
        taps = {layer: (by_layer or {}).get(layer, [0.7]) for layer in SIZES if layer != "head"}
        layers = [
            {
                "name": layer,
                "kernel_size": size,
                "density": [taps[layer]] * 2 if layer in taps and conv == "weighted" else None,
            }
            for layer, size in SIZES.items()
        ]
        config = {"conv.layer_density": by_layer} if by_layer else {}
        results = {"layers": layers, **({"layer_density": by_layer} if by_layer else {})}
        return make_run(name, conv=conv, seed=seed, config=config, results=results)

    return make


@pytest.mark.parametrize("conv", ["weighted", "scaled_init", "trainable"])
@pytest.mark.parametrize(
    ("by_layer", "text"),
    [
        (None, "k3 0.7"),
        ({"features.2": [0.5]}, "k3 0.7; features.2 0.5"),
        ({"features.10": [0.5], "features.2": [0.5]}, "k3 0.7; features.2 + features.10 0.5"),
        ({"features.10": [0.5], "features.2": [0.9], "features.0": [0.6]},
         "features.0 0.6; features.2 0.9; features.10 0.5"),
    ],
)  # fmt: skip
def test_layers_with_a_density_of_their_own_are_named(make, conv, by_layer, text):
    folder = make("run", by_layer, conv)
    assert read_run(folder).features["density"] == text


def test_two_layers_that_change_places_are_two_rows(make):
    runs = [
        read_run(make("one", {"features.0": [0.5], "features.2": [0.9]})),
        read_run(make("other", {"features.0": [0.9], "features.2": [0.5]})),
        read_run(make("one again", {"features.2": [0.9], "features.0": [0.5]}, seed=1)),
    ]
    assert sorted(len(group.runs) for group in Comparison(runs).groups) == [1, 2]


def test_a_pattern_is_for_the_kernels_that_it_fits(make):
    folder = make("run", {"*": [0.5]})
    assert read_run(folder).features["density"] == "* 0.5"
    assert read_run(make("wide", {"*": [0.5, 0.9]})).features["density"] == "k3 0.7"
