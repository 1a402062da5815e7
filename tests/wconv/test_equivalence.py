"""A weighted network is a standard one with another start and other step sizes, and nothing else."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import wconv
from wconv.equivalence import standard_twin

DENSITY = {3: [0.7], 5: [0.2, 1.4]}


def network() -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2, bias=False),
        nn.Tanh(), nn.Conv2d(4, 4, 1), nn.Flatten(), nn.Linear(144, 3),
    )  # fmt: skip
    return wconv.convert(model.double(), DENSITY)


def loss(model: nn.Module, step: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(8, 2, 6, 6, generator=generator, dtype=torch.float64)
    return F.cross_entropy(model(images), torch.randint(3, (8,), generator=generator))


def train(model: nn.Module, optimiser: torch.optim.Optimizer, steps: int, clip: float | None = None) -> None:
    for step in range(steps):
        optimiser.zero_grad()
        loss(model, step).backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()


def sgd(model: nn.Module, **kwargs: object) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), **{"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4, **kwargs})


def largest_difference(model: nn.Module, twin: nn.Module) -> float:
    """Return the largest difference between W * Phi and V, and between all other entries."""
    pairs = zip(wconv.fold(model).state_dict().values(), twin.state_dict().values(), strict=True)
    return max((left - right).abs().max().item() for left, right in pairs)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum_and_weight_decay_trains_the_same_function(nesterov):
    model = network()
    twin, start = standard_twin(model), standard_twin(model)
    for each in (model, twin):
        train(each, sgd(each, nesterov=nesterov), 50)
    assert {type(layer) for layer in twin.modules() if isinstance(layer, nn.Conv2d)} == {nn.Conv2d}
    assert largest_difference(twin, start) > 1e-2
    assert largest_difference(model, twin) < 1e-10


def test_without_the_step_sizes_it_is_another_run():
    model = network()
    twin = standard_twin(model)
    for layer in twin.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(layer.weight.detach())  # without its hook
    for each in (model, twin):
        train(each, sgd(each), 10)
    assert largest_difference(model, twin) > 1e-3


def test_clipping_by_norm_breaks_it():
    model = network()
    twin = standard_twin(model)
    for each in (model, twin):
        train(each, sgd(each), 10, clip=0.1)
    assert largest_difference(model, twin) > 1e-3


def test_clipping_that_never_cuts_does_not():
    model = network()
    twin = standard_twin(model)
    for each in (model, twin):
        train(each, sgd(each), 10, clip=1e6)
    assert largest_difference(model, twin) < 1e-10


def test_a_first_step_of_adam_moves_each_tap_by_its_density():
    model = network()
    before, lr = model[3].weight * model[3].density, 1e-3
    optimiser = torch.optim.Adam(model.parameters(), lr=lr, eps=1e-30, weight_decay=0)
    train(model, optimiser, 1)
    step = (model[3].weight * model[3].density - before).abs()
    expected = (lr * model[3].density).expand_as(step)
    torch.testing.assert_close(step, expected, rtol=1e-9, atol=0)


def test_adam_on_the_twin_does_not_follow():
    model = network()
    twin = standard_twin(model)
    for each in (model, twin):
        train(each, torch.optim.Adam(each.parameters(), lr=1e-3, eps=1e-30), 1)
    # Adam undoes the hook's factor: V moves by lr, W * Phi by lr * Phi, which is 0.04 in the corners of the 5x5.
    assert largest_difference(model, twin) == pytest.approx(1e-3 * (1 - 0.04), rel=1e-6)


def test_the_original_is_left_alone():
    model = network()
    before = {key: entry.clone() for key, entry in model.state_dict().items()}
    train(twin := standard_twin(model), sgd(twin), 3)
    assert isinstance(model[0], wconv.WeightedConv2d)
    assert all(torch.equal(entry, before[key]) for key, entry in model.state_dict().items())


def test_frozen_and_tied_weights_have_a_twin_too():
    torch.manual_seed(0)
    first, frozen, tied = (nn.Conv2d(2, 2, 3, padding=1) for _ in range(3))
    tied.weight = first.weight
    frozen.weight.requires_grad_(False)
    model = nn.Sequential(first, frozen, tied, nn.Flatten(), nn.Linear(72, 3)).double()
    wconv.convert(model, {3: [0.7]})
    twin = standard_twin(model)
    assert twin[2].weight is twin[0].weight
    assert not twin[1].weight.requires_grad
    for each in (model, twin):
        train(each, sgd(each), 20)
    assert largest_difference(model, twin) < 1e-10


def test_a_weight_tied_between_different_densities_has_none():
    model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3))
    model[1].weight = model[0].weight
    with pytest.raises(ValueError, match="tied between layers of different densities"):
        standard_twin(wconv.convert(model, {3: [0.7]}, include="0"))


def test_a_trained_density_is_refused():
    with pytest.raises(ValueError, match="layer '0' trains its density"):
        standard_twin(wconv.convert(nn.Sequential(nn.Conv2d(2, 2, 3)), {3: [0.7]}, trainable=True))
