"""Swap the convolutions of any model for weighted ones, and back."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import nn

from wconv.density import Density
from wconv.modules import WeightedConv2d

Conv = TypeVar("Conv", bound=nn.Conv2d)

# What a layer has besides its parameters and buffers, and what both kinds of layer read in the same way.
_GEOMETRY = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")


def convert(model: nn.Module, density: Mapping[int, Density]) -> nn.Module:
    """Swap, in place, every `torch.nn.Conv2d` whose kernel size has a density for a `WeightedConv2d`.

    The weights keep their values and their identity (an optimiser made before still trains them), so the function
    of the model changes from conv(x, W) to conv(x, W * Phi).

    Args:
        model: any module; subclasses of `torch.nn.Conv2d` in it are left alone.
        density: coefficients keyed by the size of a square kernel, e.g. `{3: [0.7], 5: [0.2, 0.8]}`.

    Returns:
        The same model, or the new layer if the model itself is a convolution.

    Raises:
        ValueError: a density does not fit its kernel size. The model is then unchanged.

    Warns:
        UserWarning: a key matches no layer.
    """
    for size, coefficients in density.items():
        WeightedConv2d(1, 1, size, density=coefficients, device="meta")  # refuse before anything is swapped

    matched: set[int] = set()

    def weigh(conv: nn.Conv2d) -> nn.Conv2d:
        height, width = conv.kernel_size
        if height != width or height not in density:
            return conv
        matched.add(height)
        return _like(WeightedConv2d, conv, density=density[height])

    model = _swap(model, nn.Conv2d, weigh)
    for size in density.keys() - matched:
        warnings.warn(f"density for kernel size {size}: the model has no such convolution", stacklevel=2)
    return model


def fold(model: nn.Module) -> nn.Module:
    """Swap, in place, every weighted convolution for a plain one with W * Phi as its weights.

    Args:
        model: any module.

    Returns:
        The same model (or the new layer if the model itself is a convolution); its outputs are unchanged.
    """

    def plain(conv: WeightedConv2d) -> nn.Conv2d:
        layer = _like(nn.Conv2d, conv)
        with torch.no_grad():
            weight = conv.weight * conv.density
        layer.weight = nn.Parameter(weight, requires_grad=conv.weight.requires_grad)
        return layer

    return _swap(model, WeightedConv2d, plain)


@dataclass(frozen=True)
class Layer:
    """A row of `summary`: one convolution and what was done with it.

    Attributes:
        name: dotted name inside the model.
        kernel_size: taps an axis.
        density: coefficients an axis, or None where the layer is not weighted.
    """

    name: str
    kernel_size: tuple[int, ...]
    density: tuple[tuple[float, ...], ...] | None


def summary(model: nn.Module) -> list[Layer]:
    """List every 2-D convolution of a model in the order of `named_modules`."""
    return [
        Layer(name, module.kernel_size, module.coefficients if isinstance(module, WeightedConv2d) else None)
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    ]


def _swap(model: nn.Module, kind: type[Conv], change: Callable[[Conv], nn.Conv2d]) -> nn.Module:
    """Replace every module that is exactly of one kind; a module shared by several parents stays shared."""
    if type(model) is kind:
        return change(model)
    swapped: dict[nn.Module, nn.Module] = {}
    for parent in list(model.modules()):
        # Not named_children: it hides the second name of a module that its parent holds twice.
        for name, child in list(parent._modules.items()):
            if child is not None and type(child) is kind:
                if child not in swapped:
                    swapped[child] = change(child)
                setattr(parent, name, swapped[child])
    return model


def _like(kind: type[Conv], conv: nn.Conv2d, density: Density | None = None) -> Conv:
    """Make a layer with the geometry, parameters, device, dtype and mode of another."""
    arguments: dict[str, Any] = {name: getattr(conv, name) for name in _GEOMETRY}
    if density is not None:
        arguments["density"] = density
    # On the meta device no initial weights are drawn, so the global random stream is where it was.
    layer = kind(
        **arguments,
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
        device="meta",
        dtype=conv.weight.dtype,
    )
    layer.weight, layer.bias = conv.weight, conv.bias
    if isinstance(layer, WeightedConv2d):
        layer.reset_density()
    layer.train(conv.training)
    return layer
