"""Load published weights into the networks of this project."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


def is_kernel(value: object) -> bool:
    """Tell whether a value is the kernel of a convolution."""
    return isinstance(value, Tensor) and value.dim() == 4


def load_weights(make: Callable[[], Network], state: Mapping[str, Any]) -> Network:
    """Build a network and load weights, in evaluation mode; no memory is allocated unless the weights fit.

    Args:
        make: builds the network.
        state: its weights, each a tensor; files from before PyTorch 0.4.1 lack `num_batches_tracked`.

    Raises:
        ValueError: a weight is missing, unknown or of another shape; the message names it.
    """
    with torch.device("meta"):
        expected = make().state_dict()
    check_weights(state, expected)
    model = make()
    model.load_state_dict(dict(state))
    return model.eval()


def check_weights(state: Mapping[str, Any], expected: Mapping[str, Tensor]) -> None:
    """Refuse weights that do not belong to a network.

    Args:
        state: the weights.
        expected: the state_dict of the network.

    Raises:
        ValueError: a weight is missing, unknown, of another shape or not finite; the message names it.
    """
    missing = [name for name in expected if name not in state and not name.endswith("num_batches_tracked")]
    if missing:
        raise ValueError(f"there is no {missing[0]}")
    for name, value in state.items():
        if name not in expected:
            raise ValueError(f"{name} is none of its weights")
        if not isinstance(value, Tensor) or value.shape != expected[name].shape:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ValueError(f"size mismatch for {name}: {found} in place of {tuple(expected[name].shape)}")
        if expected[name].is_floating_point() and not value.is_floating_point():
            raise ValueError(f"{name} is of {value.dtype}, and the network computes in floating point")
        if not value.isfinite().all():
            raise ValueError(f"{name} holds NaN or infinite values: the training that it is from has diverged")
