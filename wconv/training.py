"""Parameter groups for an optimiser: trained densities with a learning rate of their own."""

from typing import Any

from torch import nn

from wconv.modules import Weighted


def density_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Return the trained densities of a model, each shared one only once."""
    found = {
        layer.density_coefficients: None
        for layer in model.modules()
        if isinstance(layer, Weighted) and layer.density_coefficients is not None
    }
    return list(found)


def param_groups(
    model: nn.Module, lr: float, density_lr: float, weight_decay: float = 0.0, density_weight_decay: float = 0.0
) -> list[dict[str, Any]]:
    """Split the parameters of a model into two groups for an optimiser: first all others, then the densities.

    Args:
        model: with or without trained densities; without any there is one group.
        lr: learning rate of the weights, biases and everything else.
        density_lr: learning rate of the densities.
        weight_decay: of the first group.
        density_weight_decay: of the second; it pulls coefficients to 0, not to 1.
    """
    densities = density_parameters(model)
    apart = set(densities)
    others = [parameter for parameter in model.parameters() if parameter not in apart]
    groups: list[dict[str, Any]] = [{"params": others, "lr": lr, "weight_decay": weight_decay}]
    if densities:
        groups.append({"params": densities, "lr": density_lr, "weight_decay": density_weight_decay})
    return groups
