"""Small tensors beside parameters that are spread over processes (`DTensor`: FSDP2, tensor parallelism).

`DTensor` takes half a second to import, so it is imported where one is at hand.
"""

from typing import Any

from torch import Tensor


def is_distributed(tensor: object) -> bool:
    """Tell a `DTensor` from a plain tensor."""
    return isinstance(tensor, Tensor) and hasattr(tensor, "device_mesh")


def is_sharded(tensor: Tensor) -> bool:
    """Tell whether a process has only a part of a tensor."""
    distributed: Any = tensor
    return is_distributed(tensor) and distributed.to_local().shape != tensor.shape


def like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Spread a tensor that every process has in whole as another is spread; nothing is sent."""
    replicated: Any = replicated_like(tensor, reference)
    if not is_distributed(reference):
        return tensor
    spread: Any = reference
    result: Tensor = replicated.redistribute(spread.device_mesh, spread.placements)
    return result


def replicated_like(tensor: Tensor, reference: Tensor) -> Tensor:
    """Return a tensor that can be multiplied with another one: in whole on every process, if that is distributed."""
    if not is_distributed(reference) or is_distributed(tensor):
        return tensor
    from torch.distributed.tensor import DTensor, Replicate

    mesh = reference.device_mesh  # type: ignore[attr-defined]
    return DTensor.from_local(tensor, mesh, [Replicate()] * mesh.ndim, run_check=False)


def whole(tensor: Tensor) -> Tensor:
    """Return all of a tensor on this process; all processes have to call it, if it is sharded."""
    if not is_distributed(tensor):
        return tensor
    gathered: Tensor = tensor.full_tensor()  # type: ignore[attr-defined]
    return gathered
