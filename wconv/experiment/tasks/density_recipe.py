"""Training of the densities: learning rate and schedule, and their values for the log."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

import wconv
from wconv.experiment.tasks.schedules import warm_restarts


@dataclass(frozen=True)
class DensityRecipe:
    """Learning rate, weight decay and schedule of the densities.

    Attributes:
        lr: learning rate at the start of each cycle.
        weight_decay: pulls the coefficients to 0.
        restart_epochs: length of the first cycle.
        restart_factor: ratio of the length of each cycle to the one before.
    """

    lr: float
    weight_decay: float
    restart_epochs: float
    restart_factor: float

    def param_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """Return the parameters in two groups; the first uses the defaults of the optimiser."""
        others, densities = wconv.param_groups(model, 0.0, self.lr, density_weight_decay=self.weight_decay)
        return [{"params": others["params"]}, densities]

    def lr_factor(self, steps_per_epoch: float) -> Callable[[int], float]:
        """Return the factor of the learning rate at a step."""
        return partial(warm_restarts, first=self.restart_epochs * steps_per_epoch, factor=self.restart_factor)


def trained_densities(model: nn.Module) -> dict[str, Tensor]:
    """Return every trained coefficient, named density/<layer>/<index>, from the outermost tap inwards."""
    return {
        f"density/{layer.name}/{number}": torch.tensor(value)
        for layer in wconv.summary(model)
        if layer.trainable and layer.density is not None
        for number, value in enumerate(layer.density[0])
    }
