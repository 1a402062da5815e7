"""Benchmark the operator: a training step with weighted convolutions against one with standard convolutions."""

import argparse
import copy
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wconv
from wconv.experiment.benchmarks.pairs import Timer, Work, add_pair_arguments, ratio, ratios, seconds_in_turn, timer_of
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.tasks.network import build_model
from wconv.torch_private import memory_tracker

DENSITY = 0.7
# Label, overrides, arguments that follow from the data, and shape of a batch.
CASES: list[tuple[str, str, dict[str, int], tuple[int, ...]]] = [
    ("VGG-16", "vgg", {"num_classes": 100}, (64, 3, 32, 32)),
    ("ResNet-18", "resnet", {"num_classes": 100}, (64, 3, 32, 32)),
    ("DnCNN", "dncnn", {"channels": 1}, (16, 1, 40, 40)),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    add_pair_arguments(parser, pairs=20)


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure all networks.

    Returns:
        One row per network: ratios for a training step and for inference, and the extra memory.
    """
    timer, rows = timer_of(arguments.device), []
    for name, choice, data_arguments, batch in CASES:
        print(f"{name}, batch {'x'.join(map(str, batch))}", file=sys.stderr, flush=True)
        config = parse_command_line([f"model={choice}"], CONFIGS).config
        assert config is not None
        model = build_model(config, **data_arguments).to(arguments.device)
        images = torch.randn(batch, generator=torch.Generator().manual_seed(0)).to(arguments.device)
        label = f"{name}, {'x'.join(map(str, batch))}"
        rows.append({"training step": label} | costs(model, images, arguments.pairs, timer))
    return rows


def costs(model: nn.Module, images: Tensor, pairs: int, timer: Timer) -> Row:
    """Compare a network with weighted convolutions (the library's, and the plain formula) with the standard one.

    Args:
        model: with plain convolutions.
        images: a batch (N, C, H, W).
        pairs: rounds of the timings.
        timer: see `timer_of`.
    """
    models = arms(model)
    deployed, folded = copy.deepcopy(models["standard"]), wconv.fold(copy.deepcopy(models["weighted"]))
    steps = {name: training_step(network, images) for name, network in models.items()}
    seconds = seconds_in_turn(steps, pairs, timer)
    weights = sum(m.weight.nbytes for m in models["weighted"].modules() if isinstance(m, wconv.WeightedConv2d))
    extra = peak_bytes(models["weighted"], images) - peak_bytes(models["standard"], images)
    return {
        "weighted / standard": ratio(seconds["weighted"], seconds["standard"]),
        "formula / standard": ratio(seconds["formula"], seconds["standard"]),
        "folded / standard, inference": ratios(inference(folded, images), inference(deployed, images), pairs, timer),
        "extra memory / bytes of the weighted kernels": extra / weights,
    }


class FormulaConv2d(nn.Conv2d):
    """The operator written as the formula: Phi is recomputed in every forward pass, W * Phi by broadcasting."""

    def forward(self, input: Tensor) -> Tensor:
        """Return conv(input, W * (alpha x alpha)) + b."""
        half = torch.tensor([DENSITY], device=input.device)
        alpha = torch.cat([half, torch.ones(1, device=input.device), half.flip(0)])
        output: Tensor = self._conv_forward(input, self.weight * torch.outer(alpha, alpha), self.bias)
        return output


def arms(model: nn.Module) -> dict[str, nn.Module]:
    """Return copies of a network: plain, weighted by the library, weighted by the formula."""
    weighted = wconv.convert(copy.deepcopy(model), {3: [DENSITY]})
    formula = copy.deepcopy(model)
    for layer in formula.modules():
        if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3):
            layer.__class__ = FormulaConv2d
    return {"standard": model, "weighted": weighted, "formula": formula}


def training_step(model: nn.Module, images: Tensor) -> Work:
    """Return an SGD step on fixed images; the choice of loss is irrelevant, since all gradients are computed."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        output = model(images)
        F.mse_loss(output, torch.zeros_like(output)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def inference(model: nn.Module, images: Tensor) -> Work:
    """Return a forward pass without gradients."""
    model.eval()

    def step() -> None:
        with torch.no_grad():
            model(images)

    return step


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the peak bytes of live tensors in the second training step, counted by PyTorch's tracker."""
    tracker = memory_tracker()
    tracker.track_external(model, images)
    step = training_step(model, images)
    with tracker:
        step()
        tracker.reset_mod_stats()
        step()
    return int(sum(device["Total"] for device in tracker.get_tracker_snapshot("peak").values()))
