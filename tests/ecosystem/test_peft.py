"""PEFT: adapters around weighted layers train and run; merging reads the weights, so fold first."""

import copy

import pytest
import torch
from torch import nn

import wconv
from tests.ecosystem.common import images

pytest.importorskip("peft")
from peft import LoraConfig, get_peft_model

pytestmark = pytest.mark.ecosystem


def network() -> nn.Module:
    torch.manual_seed(0)
    return wconv.convert(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3)), {3: [0.7]})


def adapted(model: nn.Module, **kwargs) -> nn.Module:
    torch.manual_seed(1)
    return get_peft_model(model, LoraConfig(target_modules=["0", "2"], r=2, **kwargs))


def test_an_adapter_starts_from_the_weighted_network_and_trains():
    expected = network()(images())
    model = adapted(network())
    assert torch.equal(model(images()), expected)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model(images()).square().mean().backward()
        optimizer.step()
    assert not torch.allclose(model(images()), expected)
    weight = model.base_model.model[0].base_layer.weight
    assert torch.equal(weight, network()[0].weight)  # which stays as it is


def test_merged_into_a_folded_network_it_is_right():
    model = adapted(wconv.fold(network()), init_lora_weights=False)
    expected = model(images())
    torch.testing.assert_close(model.merge_and_unload()(images()), expected, rtol=1e-4, atol=1e-4)


def test_adapters_of_a_weighted_network_move_to_the_folded_one():
    model = adapted(network(), init_lora_weights=False)
    expected = model(images())
    folded = wconv.fold(copy.deepcopy(model))
    assert torch.equal(folded(images()), expected)
    torch.testing.assert_close(folded.merge_and_unload()(images()), expected, rtol=1e-4, atol=1e-4)


def test_merged_into_a_weighted_network_it_is_wrong():
    """So the pages say: fold first. If this fails, PEFT has changed, and they may say something better."""
    model = adapted(network(), init_lora_weights=False)
    expected = model(images())
    assert not torch.allclose(model.merge_and_unload()(images()), expected, rtol=1e-2, atol=1e-2)
