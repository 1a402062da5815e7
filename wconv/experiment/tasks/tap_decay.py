"""Weight decay per tap of a kernel, for optimisers that only have one per parameter.

Optimisers decay in one of two ways. Coupled (SGD, Adam): lambda times the weight is added to its gradient, as if the
loss had a penalty. Decoupled (AdamW): the weight is multiplied by 1 - lr * lambda before the step. Both are done here
per tap, at the same place: after gradients are accumulated, unscaled and clipped, and before the step.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer


def set_tap_decay(layer: nn.Module, scale: Tensor) -> None:
    """Set a separate weight decay for each tap of a layer.

    Args:
        layer: a convolution.
        scale: factors of the shape of the kernel: decoupled decay is multiplied by `scale`, coupled decay by its
            square.
    """
    layer.tap_decay = scale


def param_groups(model: nn.Module) -> list[dict[str, Any]]:
    """Split the parameters into those that the optimiser decays and, if any, those with a decay per tap."""
    scales = _scales(model)
    groups: list[dict[str, Any]] = [{"params": [one for one in model.parameters() if one not in scales]}]
    return [*groups, {"params": list(scales), "weight_decay": 0.0}] if scales else groups


def decay_by_tap(optimizer: Optimizer, model: nn.Module) -> None:
    """Make an optimiser built from `param_groups` decay each tap by its own factor times the optimiser's weight decay.

    The hook has no state, so resuming a run only needs the same call.
    """
    scales, rate = _scales(model), optimizer.defaults.get("weight_decay", 0.0)
    if not scales or not rate:
        return
    decoupled = isinstance(optimizer, AdamW) or optimizer.defaults.get("decoupled_weight_decay", False)
    rates = {weight: (rate * (scale.abs() if decoupled else scale.square())) for weight, scale in scales.items()}

    def before_step(optimizer: Optimizer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            _decay(optimizer, rates, decoupled)
            return None

        def closure_and_decay() -> Any:  # gradients are computed, and clipped by Lightning, in the closure
            loss = closure()
            _decay(optimizer, rates, decoupled)
            return loss

        return args[:1], kwargs | {"closure": closure_and_decay}

    optimizer.register_step_pre_hook(before_step)


@torch.no_grad()
def _decay(optimizer: Optimizer, rates: Mapping[nn.Parameter, Tensor], decoupled: bool) -> None:
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight not in rates or weight.grad is None:
                continue
            rate = rates[weight].to(weight)
            if decoupled:
                weight.mul_(1 - group["lr"] * rate)
            else:
                weight.grad.addcmul_(weight, rate)


def _scales(model: nn.Module) -> dict[nn.Parameter, Tensor]:
    layers = [module for module in model.modules() if hasattr(module, "tap_decay")]
    return {layer.weight: layer.tap_decay for layer in layers}  # type: ignore[misc]
