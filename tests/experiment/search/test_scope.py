"""The coefficients of a search, and the words that choose a point."""

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

import wconv
from models.dncnn import DnCNN
from models.nafnet import NAFNet
from models.resnet import ResNet
from models.torchvision_model import torchvision_model
from models.vgg import VGG
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.search.scope import search_space, stages
from wconv.experiment.tasks.network import apply_arm

K3 = {"k3": [(0.3, 1.5)]}


def count(model: nn.Module) -> list[int]:
    return [len(layers) for layers in stages(model).values()]


def test_the_stages_of_the_backbones():
    assert count(VGG(10, depth=16, width=0.1)) == [1, 1, 2, 3, 6]
    assert count(ResNet(10, depth=20)) == [1, 6, 6, 6]
    assert count(DnCNN(1, depth=7, width=8)) == [1, 5, 1]
    assert count(NAFNet(3, 8, (1, 2), 3, (1, 1))) == [1, 1, 2, 3, 1, 1, 1]


def test_the_stages_of_a_library_leave_out_what_cannot_be_weighted():
    model = torchvision_model("resnet18", num_classes=10, stem="original")
    found = stages(model)
    assert found["stage1"] == ["conv1"]  # of 7x7
    assert found["stage3"] == ["layer2.0.conv1", "layer2.0.conv2", "layer2.1.conv1", "layer2.1.conv2"]
    assert wconv.is_folded(model)  # the network itself is left alone


def test_no_stage_mixes_kernel_sizes():
    model = nn.Sequential(*(nn.Conv2d(4, 4, size) for size in (3, 5, 5, 3, 1, 3, 4)))
    assert list(stages(model).values()) == [["0"], ["1", "2"], ["3", "5"]]


def test_a_network_without_such_layers_has_no_stage():
    assert stages(nn.Sequential(nn.Linear(2, 2), nn.Conv2d(1, 1, 1))) == {}


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("global", ["k5[0]", "k5[1]"]),
        ("stage", [f"stage{stage}.k5[{number}]" for stage in (1, 2, 3) for number in (0, 1)]),
        ("layer", [f"dncnn.{layer}.k5[{number}]" for layer in (0, 2, 5, 8) for number in (0, 1)]),
    ],
)
def test_the_names_of_the_coefficients(scope, names):
    space = search_space(DnCNN(1, depth=4, width=8, kernel_size=5), scope, {"k5": [(0.1, 1.0), (0.5, 1.5)]})
    assert list(space.names) == names
    assert space.bounds == ((0.1, 1.0), (0.5, 1.5)) * (len(names) // 2)
    assert space.point({"k5": [0.2, 0.8], "k3": [0.7]}) == [0.2, 0.8] * (len(names) // 2)


@pytest.mark.parametrize("scope", ["global", "stage", "layer"])
def test_the_words_give_each_layer_its_values(scope):
    model = DnCNN(1, depth=4, width=8, kernel_size=5)
    space = search_space(model, scope, {"k5": [(0.1, 1.0), (0.5, 1.5)]})
    values = torch.linspace(0.1, 0.9, len(space.names), dtype=torch.float64).tolist()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("train", overrides=["model=dncnn", "conv=weighted", *space.words(values)])
    layers = wconv.summary(apply_arm(model, config.conv))
    given = {part.name: values[2 * place : 2 * place + 2] for place, part in enumerate(space.parts)}
    owner = {layer: name for name, names in stages(DnCNN(1, 4, 8, 5)).items() for layer in names}
    part_of = {"global": lambda name: "", "stage": owner.__getitem__, "layer": lambda name: name}[scope]
    assert [list(layer.density[0]) for layer in layers] == [given[part_of(layer.name)] for layer in layers]


def test_numbers_of_numpy_and_small_ones_are_written_as_hydra_reads_them():
    import numpy as np

    space = search_space(VGG(10, depth=11, width=0.05), "global", K3)
    assert space.words(np.array([0.5])) == ["conv.density.k3=[0.5]"]
    assert space.words([1e-7]) == ["conv.density.k3=[1e-07]"]


@pytest.mark.parametrize(
    ("scope", "bounds", "message"),
    [
        ("block", K3, "search.scope=block: expected one of global, stage, layer"),
        ("global", {"k5": [(0, 1), (0, 1)]}, "bounds of k5: this model has no such kernels.*it has k3"),
        ("layer", {"k3": [(0, 1), (0, 1)]}, "bounds of k3: expected 1 pair"),
    ],
)
def test_what_cannot_be_searched(scope, bounds, message):
    with pytest.raises(ConfigError, match=message):
        search_space(VGG(10, depth=11, width=0.05), scope, bounds)
