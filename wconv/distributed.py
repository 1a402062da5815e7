"""Small tensors beside parameters that are spread over processes: FSDP2 and tensor parallelism, both by `DTensor`.

`torch.distributed` takes half a second to import, so nothing of it is imported before a model has something of it.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn


def is_distributed(tensor: object) -> bool:
    """Tell a `DTensor` from a plain tensor."""
    return isinstance(tensor, Tensor) and hasattr(tensor, "device_mesh")


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether a process has to ask others for the whole of a tensor."""
    spread: Any = tensor
    if not is_distributed(tensor) or spread.device_mesh.size() == 1:
        return False
    return not all(placement.is_replicate() for placement in spread.placements)


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor on this process; all processes have to call it, if it is sharded."""
    if not is_distributed(tensor):
        return tensor
    gathered: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return gathered


def replicated_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Return a tensor that can be multiplied with another one: in whole on every process, if that is distributed."""
    if not is_distributed(reference) or is_distributed(tensor):
        return tensor
    from torch.distributed.tensor import DTensor, Replicate

    mesh = reference.device_mesh  # type: ignore[attr-defined]
    return DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)


def spread_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Spread a tensor that every process has in whole as another is spread; nothing is sent."""
    if not is_distributed(reference):
        return tensor
    replicated: Any = replicated_like(tensor.to(reference.dtype), reference)
    result: Tensor = replicated.redistribute(placements=reference.placements)  # type: ignore[attr-defined]
    return result


def is_fully_sharded(kind: type[nn.Module]) -> bool:
    """Tell a class that `fully_shard` (FSDP2) has made of another one."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and issubclass(kind, fsdp.FSDPModule)


def with_base(kind: type[nn.Module], base: type[nn.Module]) -> type[nn.Module]:
    """Return what `fully_shard` makes of another class than the one it made `kind` of."""
    mixin, old = kind.__bases__
    return type(kind.__name__.replace(old.__name__, base.__name__), (mixin, base), dict(vars(kind)))


def reshard(model: nn.Module) -> None:
    """Let go of the whole parameters that FSDP2 may keep after a forward pass, so that changes last."""
    for module in model.modules():
        if is_fully_sharded(type(module)):
            module.reshard()  # type: ignore[operator]


def set_value(parameter: nn.Parameter, value: Tensor) -> nn.Parameter:
    """Return a parameter with another value: a new one, or the same if FSDP2 holds on to it."""
    if not is_distributed(parameter):
        return nn.Parameter(value, requires_grad=parameter.requires_grad)
    with torch.no_grad():
        parameter.copy_(value)
    return parameter
