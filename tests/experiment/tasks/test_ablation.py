"""The operator taken apart: each part against the formula, alone and with the others, under each kind of optimiser."""

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import wconv
from wconv.experiment.tasks import arms
from wconv.experiment.tasks.ablation import STARTS, ablation
from wconv.experiment.tasks.tap_decay import decay_by_tap, param_groups
from wconv.experiment.tasks.task import Task

DENSITY = {"k3": [0.7], "k5": [0.2, 1.4]}
EIGHT = list(product(("none", "phi"), (False, True), (False, True)))
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": lambda groups: torch.optim.SGD(groups, 0.05, momentum=0.9, nesterov=True, weight_decay=5e-3),
    "adam": lambda groups: torch.optim.Adam(groups, 1e-2, weight_decay=5e-2),
    "adamw": lambda groups: torch.optim.AdamW(groups, 1e-2, weight_decay=0.5),
}


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(),
        nn.Conv2d(4, 4, 5, padding=2, bias=False), nn.Tanh(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(144, 3),
    ).double()  # fmt: skip


def batches(steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        images = torch.randn(8, 2, 6, 6, generator=generator, dtype=torch.float64)
        yield images, torch.randint(3, (8,), generator=generator)


def train(model: nn.Module, make: Callable[..., torch.optim.Optimizer], steps: int = 50) -> nn.Module:
    """Train with a rate that falls, and return the network with the kernels that are applied."""
    optimizer = make(param_groups(model))
    decay_by_tap(optimizer, model)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 2 * steps)
    for images, labels in batches(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
        schedule.step()
    return wconv.fold(model)


def by_hand(name: str, start: str, step: bool, decay: bool, steps: int = 50) -> nn.Module:
    """Train kernels V by the formulas of docs/operator.md, with no weighted layer and no optimiser of PyTorch."""
    model = network()
    lr, rate, momentum = (0.05, 5e-3, 0.9) if name == "sgd" else (1e-2, 0.5 if name == "adamw" else 5e-2, 0.0)
    of_step, of_decay, one = {}, {}, torch.ones((), dtype=torch.float64)
    for layer in model:
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            half = DENSITY[f"k{layer.kernel_size[0]}"]
            alpha = torch.tensor([*half, 1, *half[::-1]], dtype=torch.float64)
            phi = torch.outer(alpha, alpha)
            if start == "phi":
                layer.weight.data *= phi
            of_step[layer.weight], of_decay[layer.weight] = phi if step else one, phi if decay else one
    memory = {p: (torch.zeros_like(p), torch.zeros_like(p)) for p in model.parameters()}
    schedule = [
        lr * (1 + torch.cos(torch.tensor(torch.pi * n / (2 * steps), dtype=torch.float64))) / 2 for n in range(steps)
    ]
    for number, (images, labels) in enumerate(batches(steps), start=1):
        model.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        lr = schedule[number - 1]
        for v, (first, second) in memory.items():
            s, d = of_step.get(v, one), of_decay.get(v, one)
            gradient = v.grad if name == "adamw" else v.grad + rate * v.data / d**2  # of the loss with its penalty
            if name == "sgd":
                first.mul_(momentum).add_(s**2 * gradient)
                v.data -= lr * (s**2 * gradient + momentum * first)
                continue
            first.mul_(0.9).add_(0.1 * s * gradient)
            second.mul_(0.999).add_(0.001 * (s * gradient) ** 2)
            move = (first / (1 - 0.9**number)) / ((second / (1 - 0.999**number)).sqrt() + 1e-8)
            if name == "adamw":
                v.data -= lr * rate * v.data * s / d
            v.data -= lr * s * move
    return model


def largest_difference(one: nn.Module, other: nn.Module) -> float:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return max((left - right).abs().max().item() for left, right in pairs)


@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_all_parts_are_the_weighted_arm_none_the_standard_one_and_the_start_the_control(make):
    for (start, step, decay), arm in {
        ("none", False, False): arms.standard(network()),
        ("phi", True, True): arms.weighted(network(), DENSITY),
        ("phi", False, False): arms.scaled_init(network(), DENSITY),
    }.items():
        assert largest_difference(train(ablation(network(), DENSITY, start, step, decay), make), train(arm, make)) == 0


@pytest.mark.parametrize(("start", "step", "decay"), EIGHT)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_combination_is_what_the_formulas_say(name, start, step, decay):
    trained = train(ablation(network(), DENSITY, start, step, decay), OPTIMIZERS[name])
    assert largest_difference(trained, by_hand(name, start, step, decay)) < 1e-10
    assert all(type(layer) is not wconv.WeightedConv2d for layer in trained)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_eight_combinations_are_eight_runs(name):
    trained = [train(ablation(network(), DENSITY, *parts), OPTIMIZERS[name]) for parts in EIGHT]
    for place, one in enumerate(trained):
        assert all(largest_difference(one, other) > 1e-4 for other in trained[place + 1 :])


def test_without_weight_decay_there_is_no_decay_to_change():
    def make(groups: Any) -> torch.optim.Optimizer:
        return torch.optim.SGD(groups, 0.05, momentum=0.9)

    for start, step in product(STARTS, (False, True)):
        one, other = (train(ablation(network(), DENSITY, start, step, decay), make, 10) for decay in (False, True))
        assert largest_difference(one, other) == 0


@pytest.mark.parametrize("step", [False, True])
@pytest.mark.parametrize("start", STARTS)
def test_the_kernels_start_where_they_should(start, step):
    plain, model = network(), wconv.fold(ablation(network(), DENSITY, start, step, decay=False))
    for layer, coefficients in ((0, [0.7]), (3, [0.2, 1.4])):
        alpha = torch.tensor([*coefficients, 1, *coefficients[::-1]], dtype=torch.float64)
        phi = torch.outer(alpha, alpha)
        ratio = model[layer].weight / plain[layer].weight
        expected = {"none": phi**0, "phi": phi, "scale": phi**0 * phi.norm(), "shape": phi / phi.norm()}[start]
        if start in ("scale", "shape"):  # the norm of Phi against that of ones
            expected = expected * (len(alpha) if start == "shape" else 1 / len(alpha))
        torch.testing.assert_close(ratio, expected.expand_as(ratio), rtol=1e-12, atol=0)


def test_scale_and_shape_have_the_expected_norms():
    torch.manual_seed(0)
    kernels = torch.randn(4000, 1, 5, 5)

    def norm(start: str) -> float:
        model = nn.Sequential(nn.Conv2d(1, 4000, 5))
        model[0].weight.data.copy_(kernels)
        return (
            ablation(model, {"k5": [0.2, 0.8]}, start, step=False, decay=False)[0]
            .weight.square()
            .sum((1, 2, 3))
            .mean()
            .item()
        )

    assert norm("scale") == pytest.approx(norm("phi"), rel=0.02)
    assert norm("shape") == pytest.approx(norm("none"), rel=0.02)
    assert norm("phi") != pytest.approx(norm("none"), rel=0.2)


def test_a_negative_coefficient_keeps_its_sign_and_decays_by_its_size():
    """With AdamW the step of a tap carries |Phi|."""
    density = {"k3": [-0.7]}

    def make(groups: Any) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, 1e-2, weight_decay=0.5)

    def trained(step: bool) -> Tensor:
        model = ablation(network(), density, "none", step, decay=not step)
        return train(model, lambda groups: make(groups), 30)[0].weight

    positive = train(ablation(network(), {"k3": [0.7]}, "none", True, False), make, 30)[0].weight
    torch.testing.assert_close(trained(True), positive, rtol=1e-6, atol=1e-9)
    assert trained(False).abs().max() < 10


@pytest.mark.parametrize(
    ("start", "step", "decay", "refused"),
    [
        ("none", True, True, True), ("scale", True, False, True),
        ("none", False, True, True), ("phi", False, True, True),
        ("phi", True, True, False), ("phi", True, False, False),
        ("shape", True, True, False), ("phi", False, False, False),
    ],
)  # fmt: skip
def test_a_coefficient_of_zero_is_refused_where_it_is_divided_by(start, step, decay, refused):
    if refused:
        with pytest.raises(ValueError, match=r"conv.density.k5=\[0.0, 1.0\].*divide by it.*other than 0"):
            ablation(network(), {"k5": [0, 1]}, start, step, decay)
    else:
        model = ablation(network(), {"k5": [0, 1]}, start, step, decay)
        assert all(entry.isfinite().all() for entry in model.state_dict().values())


def test_an_unknown_start_is_refused():
    with pytest.raises(ValueError, match=r"conv\.start=ph: expected one of none, phi, scale, shape"):
        ablation(network(), DENSITY, "ph", False, False)


def ridge(rows: Tensor, wanted: Tensor, penalty: Tensor) -> Tensor:
    """Return what minimises the mean square of rows @ v - wanted, halved, plus half the sum of penalty * v^2."""
    return torch.linalg.solve(rows.T @ rows / len(rows) + torch.diag(penalty), rows.T @ wanted / len(rows))


def test_at_the_optimum_of_a_convex_problem_the_decay_alone_is_left():
    """Least squares through a convolution: of the eight combinations two solutions are left, both in closed form."""
    torch.manual_seed(0)
    images, rate = torch.randn(4, 2, 8, 8, dtype=torch.float64), 0.3
    rows = F.unfold(images, 3).transpose(1, 2).reshape(-1, 18)
    wanted = rows @ torch.randn(18, dtype=torch.float64) + torch.randn(len(rows), dtype=torch.float64)
    phi = torch.tensor([0.7, 1, 0.7], dtype=torch.float64)
    phi = torch.outer(phi, phi).flatten().repeat(2)
    closed = {True: ridge(rows, wanted, rate / phi**2), False: ridge(rows, wanted, torch.full_like(phi, rate))}
    assert (closed[True] - closed[False]).abs().max() > 0.1

    for start, step, decay in EIGHT:
        torch.manual_seed(1)
        model = ablation(nn.Sequential(nn.Conv2d(2, 1, 3, bias=False)).double(), {"k3": [0.7]}, start, step, decay)
        optimizer = torch.optim.SGD(param_groups(model), 0.2, momentum=0.9, weight_decay=rate)
        decay_by_tap(optimizer, model)
        for _ in range(1500):
            optimizer.zero_grad()
            output = model(images).flatten()
            ((output - wanted).square().mean() / 2).backward()
            optimizer.step()
        torch.testing.assert_close(wconv.fold(model)[0].weight.flatten(), closed[decay], rtol=0, atol=1e-9)


class Trained(Task):
    """The network above as Lightning trains it."""

    @property
    def definitions(self) -> Any:
        return {}

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return F.cross_entropy(self.model(batch[0]), batch[1])


@pytest.mark.parametrize("settings", [{}, {"gradient_clip_val": 0.05}, {"accumulate_grad_batches": 2}], ids=str)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(("step", "decay"), [(False, True), (True, False)])
def test_lightning_decays_after_it_accumulates_and_clips(name, step, decay, settings, tmp_path):
    """Gradients of the loss alone are clipped, as they are before an optimiser that decays by itself."""
    images, labels = map(torch.cat, zip(*batches(8), strict=True))
    clip, every = settings.get("gradient_clip_val"), settings.get("accumulate_grad_batches", 1)
    ours = ablation(network(), DENSITY, "phi", step, decay)
    task = Trained(
        ours, OPTIMIZERS[name], lambda optimizer, total_steps: torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)
    )
    trainer = pl.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, **settings,
    )  # fmt: skip
    trainer.fit(task, DataLoader(TensorDataset(images, labels), batch_size=8))

    model = ablation(network(), DENSITY, "phi", step, decay)
    optimizer = OPTIMIZERS[name](param_groups(model))
    decay_by_tap(optimizer, model)
    for number, (some, wanted) in enumerate(batches(8), start=1):
        (F.cross_entropy(model(some), wanted) / every).backward()
        if number % every == 0:
            if clip:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()
    assert largest_difference(wconv.fold(ours), wconv.fold(model)) < 1e-12


def test_a_step_that_a_scaler_leaves_out_decays_nothing():
    """With 16-mixed the scaler calls the optimiser without a closure, and only where the gradients are finite."""
    model = ablation(network(), DENSITY, "none", step=False, decay=True)
    optimizer = OPTIMIZERS["adamw"](param_groups(model))
    decay_by_tap(optimizer, model)
    before = model[0].weight.clone()
    scaler = torch.amp.GradScaler("cpu")
    for images, labels in batches(1):
        scaler.scale(F.cross_entropy(model(images), labels)).backward()
    model[0].weight.grad[0, 0, 0, 0] = torch.inf
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(model[0].weight, before)


def test_other_parameters_keep_the_decay_of_the_optimiser():
    model = ablation(network(), DENSITY, "none", step=False, decay=True)
    others, tapped = OPTIMIZERS["sgd"](param_groups(model)).param_groups
    assert (others["weight_decay"], tapped["weight_decay"]) == (5e-3, 0)
    assert {id(p) for p in tapped["params"]} == {id(model[0].weight), id(model[3].weight)}
    assert len(others["params"]) == len(list(model.parameters())) - 2
    for parts in (("none", False, False), ("phi", True, True), ("shape", False, False)):
        assert len(param_groups(ablation(network(), DENSITY, *parts))) == 1
