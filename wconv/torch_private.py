"""What the library takes from PyTorch that PyTorch does not document; a test says what is assumed of each.

Beside these, `wconv.modules` overrides what `torch.nn.Module` calls (`_apply`, `_load_from_state_dict`), calls
`_conv_forward`, and gives TorchScript `__prepare_scriptable__` and `__jit_unused_properties__`.
"""

from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor
from torch.nn.modules.conv import _ConvNd as ConvNd
from torch.nn.modules.lazy import LazyModuleMixin

__all__ = ["ConvNd", "LazyModuleMixin", "is_transient"]


def is_transient(tensor: Tensor) -> bool:
    """Tell a tensor that lives no longer than a transform (`torch.func`) or a trace (fake tensors) from one to keep."""
    return type(tensor) is not Tensor or is_functorch_wrapped_tensor(tensor)
