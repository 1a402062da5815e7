"""Derive weighted classes for third-party subclasses of the convolutions of torch.nn."""

from typing import Any

from torch import nn

from wconv.modules import WEIGHTED, Weighted
from wconv.torch_private import ConvNd

_MADE: dict[type[nn.Module], type[Weighted]] = {}


def weighted_class(kind: type[nn.Module]) -> type[Weighted] | None:
    """Return the weighted layer of a plain one, or None.

    Args:
        kind: `torch.nn.Conv1d`, `Conv2d`, `Conv3d`, or a third-party class. If that convolves as its base does, a
            weighted class is derived from both it and ours, once; else there is none.
    """
    base = next((base for base in WEIGHTED if issubclass(kind, base)), None)
    if base is None or any(getattr(kind, name) is not getattr(base, name) for name in ("forward", "_conv_forward")):
        return None
    if kind is base:
        return WEIGHTED[base]
    if kind not in _MADE:
        own = {"plain": kind, "__module__": kind.__module__, "__doc__": kind.__doc__, "__reduce__": _reduce}
        _MADE[kind] = type(f"Weighted{kind.__name__}", (WEIGHTED[base], kind), own)
    return _MADE[kind]


def _reduce(layer: Weighted) -> tuple[Any, ...]:
    """Reduce a layer to its plain class for pickle and copy, since a class made here cannot be imported."""
    return _empty, (layer.plain,), layer.__dict__


def _empty(plain: type[ConvNd]) -> Weighted:
    kind = weighted_class(plain)
    assert kind is not None
    return kind.__new__(kind)
