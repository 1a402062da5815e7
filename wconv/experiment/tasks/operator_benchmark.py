"""What the operator costs: a training step with weighted convolutions against the same step without, in pairs."""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import wconv
from wconv.torch_private import memory_tracker

DENSITY = 0.7


class FormulaConv2d(nn.Conv2d):
    """The operator as the formula is written: Phi is made anew in every forward pass, W * Phi by broadcasting."""

    def forward(self, input: Tensor) -> Tensor:
        """Return conv(input, W * (alpha x alpha)) + b."""
        half = torch.tensor([DENSITY], device=input.device)
        alpha = torch.cat([half, torch.ones(1, device=input.device), half.flip(0)])
        output: Tensor = self._conv_forward(input, self.weight * torch.outer(alpha, alpha), self.bias)
        return output


@dataclass(frozen=True)
class Case:
    """A network and a batch.

    Attributes:
        name: for the table.
        model: makes the network.
        batch: shape of the images.
    """

    name: str
    model: Callable[[], nn.Module]
    batch: tuple[int, ...]


def arms(model: nn.Module) -> dict[str, nn.Module]:
    """Return copies of a network: plain, weighted by the library, weighted by the formula."""
    weighted = wconv.convert(copy.deepcopy(model), {3: [DENSITY]})
    formula = copy.deepcopy(model)
    for layer in formula.modules():
        if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3):
            layer.__class__ = FormulaConv2d
    return {"standard": model, "weighted": weighted, "formula": formula}


def training_step(model: nn.Module, images: Tensor) -> Callable[[], None]:
    """Return a step of SGD on fixed images; the loss does not matter, all gradients are computed."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        output = model(images)
        F.mse_loss(output, torch.zeros_like(output)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def inference(model: nn.Module, images: Tensor) -> Callable[[], None]:
    """Return a forward pass without gradients."""
    model.eval()

    def step() -> None:
        with torch.no_grad():
            model(images)

    return step


def ratios(steps: dict[str, Callable[[], None]], base: str, pairs: int) -> dict[str, list[float]]:
    """Time steps against a base, each round all of them one after the other, in an order that turns.

    Args:
        steps: what to time, by name.
        base: name of the one that the others are divided by.
        pairs: rounds.

    Returns:
        For each other name, one ratio a round.
    """
    names = list(steps)
    for step in steps.values():
        step()
    found: dict[str, list[float]] = {name: [] for name in names if name != base}
    for turn in range(pairs):
        seconds = {}
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            steps[name]()
            seconds[name] = time.perf_counter() - start
        for name in found:
            found[name].append(seconds[name] / seconds[base])
    return found


def peak_bytes(model: nn.Module, images: Tensor) -> int:
    """Return the most bytes of tensors alive in a training step, the second one, counted by PyTorch's tracker."""
    tracker = memory_tracker()
    tracker.track_external(model, images)
    step = training_step(model, images)
    with tracker:
        step()
        tracker.reset_mod_stats()
        step()
    return int(sum(device["Total"] for device in tracker.get_tracker_snapshot("peak").values()))


def run_benchmark(cases: list[Case], pairs: int, progress: Callable[[str], None]) -> pd.DataFrame:
    """Measure all cases.

    Returns:
        A row a case: median ratios with the range from the first to the third quartile, and the extra memory.
    """
    rows = []
    for case in cases:
        progress(f"{case.name}, batch {'x'.join(map(str, case.batch))}")
        torch.manual_seed(0)
        images = torch.randn(case.batch)
        models = arms(case.model())
        folded = wconv.fold(copy.deepcopy(models["weighted"]))
        trained = ratios({name: training_step(model, images) for name, model in models.items()}, "standard", pairs)
        deployed = {"standard": copy.deepcopy(models["standard"]), "folded": folded}
        inferred = ratios({name: inference(model, images) for name, model in deployed.items()}, "standard", pairs)
        weights = sum(m.weight.nbytes for m in models["weighted"].modules() if isinstance(m, wconv.WeightedConv2d))
        extra = peak_bytes(models["weighted"], images) - peak_bytes(models["standard"], images)
        rows.append(
            {
                "training step": f"{case.name}, {'x'.join(map(str, case.batch))}",
                "weighted / standard": spread(trained["weighted"]),
                "formula / standard": spread(trained["formula"]),
                "folded / standard, inference": spread(inferred["folded"]),
                "extra memory / bytes of the weighted kernels": f"{extra / weights:.2f}",
            }
        )
    return pd.DataFrame(rows)


def spread(values: list[float]) -> str:
    """Write the median and the quartiles."""
    quartiles = pd.Series(values).quantile([0.25, 0.75])
    return f"{median(values):.3f} ({quartiles.iloc[0]:.3f} to {quartiles.iloc[1]:.3f})"
