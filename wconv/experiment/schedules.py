"""Learning-rate schedules by step, each told how many steps the run has.

Lengths are parts of the run, so that a short run and a long one see the same shape.
"""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    ConstantLR,
    CosineAnnealingLR,
    LinearLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    SequentialLR,
)


def one_cycle(optimizer: Optimizer, total_steps: int, warmup: float) -> LRScheduler:
    """Rise to the optimiser's rate during the warm-up, then fall to almost 0; the momentum stays."""
    peak = [group["lr"] for group in optimizer.param_groups]
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
    """Leave the rate as it is."""
    return ConstantLR(optimizer, factor=1.0)
