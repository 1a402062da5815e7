"""The undocumented parts of PyTorch that the library uses; a test states what is assumed of each.

Besides these, `wconv.modules` overrides methods that `torch.nn.Module` calls (`_apply`, `_load_from_state_dict`), calls
`_conv_forward`, and gives TorchScript `__prepare_scriptable__` and `__jit_unused_properties__`.
"""

from typing import Any

from torch import Tensor, nn
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.modules.conv import _ConvNd as ConvNd
from torch.nn.modules.lazy import LazyModuleMixin

__all__ = ["ConvNd", "LazyModuleMixin", "forget_parameter", "is_transient", "memory_tracker"]


def is_transient(tensor: Tensor) -> bool:
    """Tell whether a tensor lives only during a transform (`torch.func`) or a trace (fake tensors)."""
    return type(tensor) is not Tensor or is_functorch_wrapped_tensor(tensor)


def forget_parameter(model: nn.Module, owners: set[nn.Module], name: str) -> None:
    """Remove deleted parameters from the groups of FSDP2, which would restore them otherwise."""
    from torch.distributed.fsdp._fully_shard._fsdp_state import _get_module_fsdp_state

    for module in model.modules():
        state = _get_module_fsdp_state(module)
        only = getattr(state, "_fsdp_param_group", None)  # PyTorch 2.10 and earlier
        for group in getattr(state, "_fsdp_param_groups", [only] if only else []):
            group.fsdp_params = [
                parameter
                for parameter in group.fsdp_params
                if parameter._module_info.module not in owners or parameter._module_info.param_name != name
            ]
            if state and state._is_root is not None:
                group.lazy_init()  # again: PyTorch 2.15 keeps positions in that list


def memory_tracker() -> Any:
    """Return PyTorch's tracker of live tensors, which counts bytes where the allocator has no statistics."""
    from torch.distributed._tools.mem_tracker import MemTracker

    return MemTracker()
