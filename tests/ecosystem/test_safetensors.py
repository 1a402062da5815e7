"""safetensors: a file of weights, with and without trained densities, shared ones too."""

import pytest
import torch
from torch import nn

import wconv
from tests.ecosystem.common import images

pytest.importorskip("safetensors")
from safetensors.torch import load_file, load_model, save_file, save_model

pytestmark = pytest.mark.ecosystem


def network(trainable, value: float = 0.7) -> nn.Module:
    return wconv.convert(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)), {3: [value]}, trainable=trainable)


@pytest.mark.parametrize("trainable", [False, True])
def test_a_model_comes_back(trainable, tmp_path):
    model, other = network(trainable), network(trainable, 0.7 if not trainable else 0.2)
    save_model(model, tmp_path / "model.safetensors")
    load_model(other, tmp_path / "model.safetensors")
    assert torch.equal(other(images()), model(images()))
    save_file(model.state_dict(), tmp_path / "state.safetensors")
    assert set(load_file(tmp_path / "state.safetensors")) == set(model.state_dict())


def test_a_shared_density_is_saved_once_and_loaded_by_pytorch(tmp_path):
    model, other = network("shared"), network("shared", 0.2)
    save_model(model, tmp_path / "model.safetensors")
    state = load_file(tmp_path / "model.safetensors")
    assert sum("density" in key for key in state) == 1
    other.load_state_dict(state)
    assert torch.equal(other(images()), model(images()))
    assert other[0].density_coefficients is other[1].density_coefficients


def test_a_plain_file_fills_a_weighted_model_and_the_other_way_round(tmp_path):
    plain, model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)), network(False)
    save_model(plain, tmp_path / "plain.safetensors")
    load_model(model, tmp_path / "plain.safetensors")
    assert torch.equal(model(images()), wconv.convert(plain, {3: [0.7]})(images()))
