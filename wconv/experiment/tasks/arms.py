"""The arms of a comparison: each is a function that changes the convolutions of a network, named in configs/conv.

All start from the same weights W, which are drawn before. A density is given by kernel size, as the configuration
writes it: `{"k3": [0.7], "k5": None}`, outermost tap first; None leaves a size as it is, and so does a size that the
network lacks.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from torch import nn

import wconv
from wconv.density import axis_coefficients
from wconv.modules import Weighted

Densities = Mapping[str, Sequence[float] | None]


class NothingConverted(UserWarning):
    """An arm leaves every convolution of a network as it is."""


def standard(model: nn.Module) -> nn.Module:
    """Leave every convolution as it is."""
    return model


def weighted(model: nn.Module, density: Densities) -> nn.Module:
    """Multiply every kernel by a fixed density."""
    return converted(model, density)


def trainable(model: nn.Module, density: Densities, share: bool) -> nn.Module:
    """Multiply every kernel by a density that is trained.

    Args:
        model: the network.
        density: where it starts.
        share: train one density for all layers of a kernel size, not one a layer.
    """
    return converted(model, density, "shared" if share else True)


def scaled_init(model: nn.Module, density: Densities) -> nn.Module:
    """Start standard convolutions from W * Phi, the function that weighted ones start from.

    Raises:
        ValueError: a kernel is standardised.
    """
    return wconv.fold(freely_trained(converted(model, density)))


def freely_trained(model: nn.Module) -> nn.Module:
    """Return a converted network as it is, if each W * Phi is a kernel that a plain layer of it could train.

    A standardised kernel, std(W) * Phi, is none: folded, it would be trained without its standardisation, and compared
    with layers that have it.

    Raises:
        ValueError: a kernel is standardised.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, Weighted) and type(layer).plain_kernel is not Weighted.plain_kernel:
            kind = type(layer).__name__.removeprefix("Weighted")
            raise ValueError(
                f"{name} is a {kind}, which standardises its kernel: a start, a step or a decay of W * Phi cannot be "
                "had alone; train it with conv=standard, weighted or trainable"
            )
    return model


def kernel_sizes(model: nn.Module) -> set[int]:
    """Return the sizes of a network's kernels."""
    return {size for layer in wconv.summary(model) for size in layer.kernel_size}


def converted(model: nn.Module, density: Densities, trainable: bool | Literal["shared"] = False) -> nn.Module:
    """Give every layer of a size with a density that density, fixed or trained.

    Warns:
        UserWarning: the network has no layer of such a size.
    """
    by_size = {int(key.removeprefix("k")): taps for key, taps in density.items() if taps is not None}
    for size, taps in by_size.items():
        axis_coefficients(taps, (size, size))  # a wrong one is refused, though no layer may have that size
    present = kernel_sizes(model)
    chosen: dict[int | tuple[int, ...], Any] = {size: taps for size, taps in by_size.items() if size in present}
    if chosen:
        wconv.convert(model, chosen, trainable=trainable, subclasses=_subclasses(model))
    if wconv.is_folded(model):
        message = "no kernel of this model has a density (conv.density), so it stays standard"
        warnings.warn(message, NothingConverted, stacklevel=3)
    return model


def _subclasses(model: nn.Module) -> Mapping[type[nn.Module], type[Weighted]]:
    """Return the weighted classes for the convolutions of timm, where a network has any of its layers."""
    if not any(type(module).__module__.startswith("timm.") for module in model.modules()):
        return {}
    from wconv.timm_layers import SUBCLASSES  # here, because timm need not be installed

    return SUBCLASSES
