"""What networks of other libraries share here: how a name is looked up, and how a network is made."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

STEMS = ("small", "original")


def check_arguments(library: str, names: Sequence[str], name: str, stem: str) -> None:
    """Refuse a network that a library lacks.

    Args:
        library: what it is called.
        names: of its networks.
        name: of the one that is asked for.
        stem: "small" or "original".

    Raises:
        ValueError: there is no such network, and which have a similar name; or there is no such stem.
    """
    if stem not in STEMS:
        raise ValueError(f"model.stem={stem}: choose {' or '.join(STEMS)}")
    if name not in names:
        near = difflib.get_close_matches(name, names, 3, cutoff=0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"it has {len(names)}, such as {names[0]}"
        raise ValueError(f"model.name={name}: {library} has no classifier of this name; {hint}")


def make(network: Callable[[], nn.Module]) -> nn.Module:
    """Make a network; under `torch.device("meta")` without memory, also one that computes while it is made."""
    if not on_meta():
        return network()
    with torch.device("cpu"), _EmptyOnMeta():
        model = network()
    return model.to("meta")


def on_meta() -> bool:
    """Tell whether tensors are made without memory now."""
    return torch.get_default_device().type == "meta"


class _EmptyOnMeta(TorchFunctionMode):
    """Take no memory for parameters, which layers make empty, and compute with all else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Make what is empty on the meta device."""
        return func(*args, **({**(kwargs or {}), "device": "meta"} if func is torch.empty else kwargs or {}))
