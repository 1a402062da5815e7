import importlib.util
from pathlib import Path

import torch
from torch import nn

import wconv
from wconv.experiment.tasks.operator_benchmark import Case, arms, peak_bytes, ratios, run_benchmark

ROOT = Path(__file__).resolve().parents[2]


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 64, 3))


def test_all_arms_but_the_standard_one_compute_the_weighted_convolution():
    torch.manual_seed(0)
    models = arms(network())
    images = torch.randn(2, 3, 9, 9)
    assert torch.allclose(models["weighted"](images), models["formula"](images), atol=1e-6)
    assert not torch.allclose(models["weighted"](images), models["standard"](images), atol=1e-3)


def test_ratios_are_of_the_same_round():
    calls = []
    found = ratios({name: lambda name=name: calls.append(name) for name in "abc"}, "a", pairs=3)
    assert {name: len(values) for name, values in found.items()} == {"b": 3, "c": 3}
    assert [calls[3 + 3 * turn] for turn in range(3)] == ["a", "b", "c"]


def test_a_training_step_needs_the_product_more_and_next_to_nothing_else():
    """W * Phi is as large as W, and each Phi as a kernel."""
    images = torch.randn(2, 3, 9, 9)
    plain, weighted = network(), wconv.convert(network(), {3: [0.7]})
    layers = [layer for layer in weighted if isinstance(layer, wconv.WeightedConv2d)]
    product, phi = (
        sum(tensor.nbytes for tensor in some) for some in zip(*((m.weight, m.density) for m in layers), strict=True)
    )
    assert 0 < peak_bytes(weighted, images) - peak_bytes(plain, images) <= product + phi


def test_the_table_has_a_row_a_case():
    table = run_benchmark([Case("small", network, (2, 3, 9, 9))], pairs=2, progress=lambda text: None)
    assert table["training step"].tolist() == ["small, 2x3x9x9"]
    assert table.shape[1] == 5


def test_the_command_knows_its_cases():
    spec = importlib.util.spec_from_file_location("benchmark", ROOT / "scripts" / "benchmark.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert [case.name for case in module.CASES] == ["VGG-16", "ResNet-18", "DnCNN"]
