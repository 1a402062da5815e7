"""The arms of a comparison: each is a function that changes the convolutions of a network, named in configs/conv.

All start from the same weights W, which are drawn before. Densities are given by kernel size, as in the configuration:
`{"k3": [0.7], "k5": None}`, outermost tap first; None leaves a size unchanged, and sizes that the network does not have
are ignored. Layers may have their own density, by name (see `converted`).
"""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

from torch import nn

import wconv
from wconv.density import axis_coefficients
from wconv.modules import Weighted

Densities = Mapping[str, Sequence[float] | None]
LayerDensities = Mapping[str, Sequence[float]] | None


class NothingConverted(UserWarning):
    """An arm leaves every convolution of a network unchanged."""


def standard(model: nn.Module) -> nn.Module:
    """Leave every convolution unchanged."""
    return model


def weighted(model: nn.Module, density: Densities, layer_density: LayerDensities = None) -> nn.Module:
    """Multiply every kernel by a fixed density."""
    return converted(model, density, layer_density)


def trainable(model: nn.Module, density: Densities, share: bool, layer_density: LayerDensities = None) -> nn.Module:
    """Multiply every kernel by a trained density.

    Args:
        model: the network.
        density: its initial value.
        share: train one density for all layers of a kernel size, or of an entry of `layer_density`, not one per layer.
        layer_density: initial densities of single layers.
    """
    return converted(model, density, layer_density, "shared" if share else True)


def scaled_init(model: nn.Module, density: Densities, layer_density: LayerDensities = None) -> nn.Module:
    """Start standard convolutions from W * Phi, the function that weighted ones start from.

    Raises:
        ValueError: a kernel is standardised.
    """
    return wconv.fold(freely_trained(converted(model, density, layer_density)))


def freely_trained(model: nn.Module) -> nn.Module:
    """Return a converted network after checking that plain layers could hold and train its kernels W * Phi.

    A standardised kernel, std(W) * Phi, is refused: folded, it would be trained without standardisation, but compared
    with layers that have it.

    Raises:
        ValueError: a kernel is standardised.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, Weighted) and type(layer).plain_kernel is not Weighted.plain_kernel:
            kind = type(layer).__name__.removeprefix("Weighted")
            raise ValueError(
                f"{name} is a {kind}, which standardises its kernel: start, step and decay cannot be separated there; "
                "train it with conv=standard, weighted or trainable"
            )
    return model


def kernel_sizes(model: nn.Module) -> set[int]:
    """Return the sizes of a network's kernels."""
    return {size for layer in wconv.summary(model) for size in layer.kernel_size}


def converted(
    model: nn.Module,
    density: Densities,
    layer_density: LayerDensities = None,
    trainable: bool | Literal["shared"] = False,
) -> nn.Module:
    """Convert layers with the density of their name, or else of their kernel size.

    Args:
        model: the network.
        density: by kernel size.
        layer_density: by layer name as in `wconv.summary`, with wildcards ("features.1*"); applies to the matching
            layers whose kernels it fits.
        trainable: as in `wconv.convert`.

    Raises:
        ValueError: a density fits no kernel, a name matches no layer, or two names match the same layer.

    Warns:
        UserWarning: no layer has a density.
    """
    subclasses = _subclasses(model)
    for name, layers in _layers_by_name(model, layer_density or {}).items():
        taps = (layer_density or {})[name]
        sizes: dict[int | tuple[int, ...], Any] = dict.fromkeys(layers.values(), taps)
        wconv.convert(model, sizes, include=list(layers), trainable=trainable, subclasses=subclasses)
        if not any(isinstance(model.get_submodule(layer), Weighted) for layer in layers):
            raise ValueError(f"conv.layer_density: {name} names only layers that cannot be weighted")
    by_size = {int(key.removeprefix("k")): taps for key, taps in density.items() if taps is not None}
    for size, taps in by_size.items():
        axis_coefficients(taps, (size, size))  # refuse a wrong density even if no layer has that size
    left = {size for layer in wconv.summary(model) if layer.density is None for size in layer.kernel_size}
    chosen: dict[int | tuple[int, ...], Any] = {size: taps for size, taps in by_size.items() if size in left}
    if chosen or layer_density:
        wconv.convert(model, chosen, trainable=trainable, subclasses=subclasses)
    if wconv.is_folded(model):
        message = "no kernel of this model has a density (conv.density), so it stays standard"
        warnings.warn(message, NothingConverted, stacklevel=3)
    return model


def _layers_by_name(
    model: nn.Module, layer_density: Mapping[str, Sequence[float]]
) -> dict[str, dict[str, tuple[int, ...]]]:
    """Return for each entry the layers that it matches, with their kernel sizes.

    Raises:
        ValueError: an entry matches no layer, or two entries match the same layer, since a mapping has no order that
            would decide between them.
    """
    layers = {layer.name: layer.kernel_size for layer in wconv.summary(model)}
    entry_of: dict[str, str] = {}
    found = {}
    for name, taps in layer_density.items():
        named = {layer: size for layer, size in layers.items() if fnmatchcase(layer, str(name))}
        if not named:
            near = difflib.get_close_matches(str(name), layers, 1) or list(layers)[:1]
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"conv.layer_density: no convolution of this model is called {name}{hint}")
        found[name] = {layer: size for layer, size in named.items() if _fits(taps, size)}
        if not found[name]:
            try:
                axis_coefficients(taps, next(iter(named.values())))
            except ValueError as error:
                raise ValueError(f"conv.layer_density: {name}: {error}") from error
        for layer in found[name]:
            if (other := entry_of.setdefault(layer, name)) != name:
                raise ValueError(f"conv.layer_density: both {other} and {name} are for layer {layer}; leave one out")
    return found


def _fits(density: Any, kernel_size: Sequence[int]) -> bool:
    try:
        return axis_coefficients(density, kernel_size) != ()
    except ValueError:
        return False


def _subclasses(model: nn.Module) -> Mapping[type[nn.Module], type[Weighted]]:
    """Return the weighted classes for the convolutions of timm, if the network has layers of timm."""
    if not any(type(module).__module__.startswith("timm.") for module in model.modules()):
        return {}
    from wconv.timm_layers import SUBCLASSES  # here, because timm need not be installed

    return SUBCLASSES
