"""Learning-rate schedules by step, created for the total number of steps.

Lengths are fractions of the run, so that short and long runs have a schedule of the same shape.
"""

import math
from collections.abc import Callable

import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
)


def one_cycle(optimizer: Optimizer, total_steps: int, warmup: float) -> LRScheduler:
    """Rise to the optimiser's rate during the warm-up, then fall to almost 0, with constant momentum."""
    peak = [group["lr"] for group in optimizer.param_groups]
    if math.isclose(total_steps * warmup, 1):  # PyTorch divides by the length of the warm-up minus one step
        warmup *= 1.001
    return OneCycleLR(optimizer, max_lr=peak, total_steps=total_steps, pct_start=warmup, cycle_momentum=False)


def cosine(optimizer: Optimizer, total_steps: int, warmup: float, floor: float) -> LRScheduler:
    """Fall from the optimiser's rate to `floor` times it, after a linear warm-up."""
    rising = round(total_steps * warmup)
    lowest = floor * optimizer.param_groups[0]["lr"]
    falling = CosineAnnealingLR(optimizer, T_max=max(1, total_steps - rising), eta_min=lowest)
    if rising == 0:
        return falling
    climb = LinearLR(optimizer, start_factor=1 / rising, total_iters=rising)
    return SequentialLR(optimizer, [climb, falling], milestones=[rising])


def multistep(optimizer: Optimizer, total_steps: int, milestones: list[float], gamma: float) -> LRScheduler:
    """Multiply the rate by `gamma` at each milestone."""
    return MultiStepLR(optimizer, [round(total_steps * part) for part in milestones], gamma)


def constant(optimizer: Optimizer, total_steps: int) -> LRScheduler:
    """Keep the rate constant."""
    return ConstantLR(optimizer, factor=1.0)


def per_group(
    weights: Callable[..., LRScheduler], densities: Callable[[int], float], optimizer: Optimizer, total_steps: int
) -> LRScheduler:
    """Give the first parameter group one schedule and the second another, in a single object.

    Lightning's automatic optimisation takes one optimiser with one schedule. The first schedule is run in advance on a
    dummy parameter to record its rates, so it is the same as in a run without a second group.

    Args:
        weights: creates the schedule of the first group.
        densities: factor of the second group's rate at a step.
        optimizer: with two groups.
        total_steps: of the run.
    """
    start = optimizer.param_groups[0]["lr"]
    rehearsal = SGD([torch.nn.Parameter(torch.zeros(1))], lr=start)
    schedule = weights(rehearsal, total_steps=total_steps)
    factors = []
    for _ in range(total_steps):
        factors.append(rehearsal.param_groups[0]["lr"] / start)
        rehearsal.step()
        schedule.step()
    return LambdaLR(optimizer, [lambda step: factors[min(step, total_steps - 1)], densities])


def warm_restarts(step: int, first: float, factor: float) -> float:
    """Return the factor of a cosine that falls from 1 to 0 and starts again (Loshchilov & Hutter, arXiv 1608.03983).

    Args:
        step: of the run.
        first: steps until the first restart.
        factor: ratio of the length of each cycle to the one before.
    """
    start, length = 0.0, first
    while step >= start + length:
        start, length = start + length, length * factor
    return (1 + math.cos(math.pi * (step - start) / length)) / 2
