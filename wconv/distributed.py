"""Combine the small density tensors with parameters that FSDP2 or tensor parallelism distribute as `DTensor`.

`torch.distributed` takes half a second to import, so it is imported only for a model that uses it.
"""

import sys
from typing import Any

import torch
from torch import Tensor, nn


def is_distributed(tensor: object) -> bool:
    """Tell a `DTensor` from a plain tensor."""
    return isinstance(tensor, Tensor) and hasattr(tensor, "device_mesh")


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether this process holds only a part of a tensor."""
    spread: Any = tensor
    if not is_distributed(tensor) or spread.device_mesh.size() == 1:
        return False
    return not all(placement.is_replicate() for placement in spread.placements)


def whole(tensor: Tensor) -> Tensor:
    """Return the full tensor on this process; if it is sharded, all processes must call this."""
    if not is_distributed(tensor):
        return tensor
    gathered: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return gathered


def replicated_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Return `tensor` so that it can be multiplied with `reference`: replicated if that is a `DTensor`."""
    if not is_distributed(reference) or is_distributed(tensor):
        return tensor
    from torch.distributed.tensor import DTensor, Replicate

    mesh = reference.device_mesh  # type: ignore[attr-defined]
    return DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)


def spread_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Shard a tensor that every process holds in full like `reference`; this needs no communication."""
    if not is_distributed(reference):
        return tensor
    replicated: Any = replicated_like(tensor.to(reference.dtype), reference)
    result: Tensor = replicated.redistribute(placements=reference.placements)  # type: ignore[attr-defined]
    return result


def is_fully_sharded(kind: type[nn.Module]) -> bool:
    """Tell whether `fully_shard` (FSDP2) has derived this class from another one."""
    fsdp = sys.modules.get("torch.distributed.fsdp")
    return fsdp is not None and issubclass(kind, fsdp.FSDPModule)


def with_base(kind: type[nn.Module], base: type[nn.Module]) -> type[nn.Module]:
    """Return the class that `fully_shard` would derive from `base`, as it derived `kind` from another one."""
    mixin, old = kind.__bases__
    return type(kind.__name__.replace(old.__name__, base.__name__), (mixin, base), dict(vars(kind)))


def reshard(model: nn.Module) -> None:
    """Free the gathered parameters that FSDP2 may keep after a forward pass; they would hide later changes."""
    for module in model.modules():
        if is_fully_sharded(type(module)):
            module.reshard()  # type: ignore[operator]


def set_value(parameter: nn.Parameter, value: Tensor) -> nn.Parameter:
    """Return a parameter with a new value: a new object, or the same one if FSDP2 holds a reference to it."""
    if not is_distributed(parameter):
        return nn.Parameter(value, requires_grad=parameter.requires_grad)
    with torch.no_grad():
        parameter.copy_(value)
    return parameter
