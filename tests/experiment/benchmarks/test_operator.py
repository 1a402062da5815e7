import argparse

import pytest
import torch
from torch import nn

import wconv
from wconv.experiment.benchmarks import operator
from wconv.experiment.benchmarks.operator import arms, costs, peak_bytes
from wconv.experiment.benchmarks.pairs import Ratio, cpu_seconds


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 64, 3))


def test_all_arms_but_the_standard_one_compute_the_weighted_convolution():
    torch.manual_seed(0)
    models = arms(network())
    images = torch.randn(2, 3, 9, 9)
    assert torch.allclose(models["weighted"](images), models["formula"](images), atol=1e-6)
    assert not torch.allclose(models["weighted"](images), models["standard"](images), atol=1e-3)


def test_a_training_step_needs_the_product_more_and_next_to_nothing_else():
    """W * Phi is as large as W, and each Phi as a kernel."""
    images = torch.randn(2, 3, 9, 9)
    plain, weighted = network(), wconv.convert(network(), {3: [0.7]})
    layers = [layer for layer in weighted if isinstance(layer, wconv.WeightedConv2d)]
    product, phi = (
        sum(tensor.nbytes for tensor in some) for some in zip(*((m.weight, m.density) for m in layers), strict=True)
    )
    assert 0 < peak_bytes(weighted, images) - peak_bytes(plain, images) <= product + phi


def test_every_ratio_has_quartiles():
    row = costs(network(), torch.randn(2, 3, 9, 9), pairs=2, timer=cpu_seconds)
    *ratios, memory = row.values()
    assert [type(value) for value in ratios] == [Ratio] * 3
    assert 0 < memory < 2


def test_there_is_a_row_for_each_network_of_the_configuration(monkeypatch):
    built = {}
    monkeypatch.setattr(operator, "costs", lambda model, images, pairs, timer: built.update({model: images}) or {})
    rows = operator.measure(argparse.Namespace(pairs=1, device="cpu"))
    assert [row["training step"] for row in rows] == [
        *("VGG-16, 64x3x32x32", "ResNet-18, 64x3x32x32", "DnCNN, 16x1x40x40")
    ]
    millions = [sum(weight.numel() for weight in model.parameters()) / 1e6 for model in built]
    assert millions == pytest.approx([14.8, 11.2, 0.56], rel=0.02)
