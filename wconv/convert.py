"""Make the convolutions of any model weighted ones, and plain again."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from wconv.density import Density, is_per_axis
from wconv.functional import weighted
from wconv.modules import TRAINED, WEIGHTED, Weighted
from wconv.parametrization import Parametrization
from wconv.report import leave_report, why_not
from wconv.torch_private import ConvNd, LazyModuleMixin

KernelSize = int | tuple[int, ...]
Which = str | Iterable[str] | Callable[[str, nn.Module], bool]


def convert(
    model: nn.Module,
    density: Mapping[KernelSize, Density],
    *,
    include: Which = "*",
    exclude: Which = (),
    trainable: bool | Literal["shared"] = False,
    parametrization: Parametrization | None = None,
    preserve: Literal["weights", "function"] = "weights",
) -> nn.Module:
    """Make, in place, every convolution whose kernel size has a density a weighted one.

    A layer stays the same object with another class: its parameters, hooks, device, dtype and mode are as they were,
    it stays shared where it was, and an optimiser made before still trains it. No random number is drawn.

    Args:
        model: any module, also a single convolution. Only layers that are exactly `torch.nn.Conv1d`, `Conv2d` or
            `Conv3d` are converted; subclasses are left alone, and `wconv.summary` says so.
        density: density by kernel size: `{3: [0.7]}` for kernels of 3, 3x3 and 3x3x3, or
            `{(3, 5): ([0.7], [0.2, 0.8])}`.
        include: names of the layers to convert, with wildcards ("features.*"), one or several; or a function of name
            and module.
        exclude: likewise, those to leave alone.
        trainable: train the densities: True for one a layer, "shared" for one a kernel size (a tie of parameters, and
            like every such tie undone by `to_empty`).
        parametrization: as in `wconv.WeightedConv2d`.
        preserve: "weights" keeps W, and the function changes; "function" divides W by Phi (in new parameters: make the
            optimiser after that).

    Returns:
        The same model.

    Raises:
        ValueError: a density does not fit its kernel size, or cannot be divided by; or a layer that should be
            converted is parametrized or lazy. Nothing is changed then.

    Warns:
        UserWarning: a key matches no layer.
    """
    if preserve not in ("weights", "function"):
        raise ValueError(f"preserve={preserve!r}: expected 'weights' or 'function'")
    chosen: dict[ConvNd, KernelSize] = {}
    reasons: dict[str, str] = {}
    for name, module in model.named_modules():
        if not isinstance(module, ConvNd) or isinstance(module, Weighted):
            continue
        key = _key(module.kernel_size, density)
        if not _matches(name, module, include) or _matches(name, module, exclude):
            reasons[name] = "left out by include or exclude"
        elif key is None:
            reasons[name] = "no density for this kernel size"
        elif _kind(module) not in WEIGHTED:
            reasons[name] = why_not(module)
        elif isinstance(module, LazyModuleMixin):
            raise ValueError(f"layer {name!r} is lazy and has no kernel yet: pass a batch through the model first")
        elif (computed := _computed(module)) is not None:
            raise ValueError(
                f"layer {name!r} is parametrized ({computed}), and its weight or class is not its own: "
                "convert first and register the parametrization then, or exclude the layer"
            )
        else:
            chosen[module] = key
    _try(density, chosen, bool(trainable), parametrization, preserve)

    for layer, key in chosen.items():
        layer.__class__ = WEIGHTED[type(layer)]
        assert isinstance(layer, Weighted)
        layer.set_density(density[key], bool(trainable), parametrization)
    if trainable == "shared":
        _share(chosen)
    if preserve == "function":
        _divide(chosen)
    unused = [key for key in density if key not in chosen.values()]
    for key in unused:
        warnings.warn(f"density for kernel size {key}: the model has no such convolution", stacklevel=2)
    leave_report(model, reasons, unused)
    return model


def fold(model: nn.Module) -> nn.Module:
    """Make, in place, every weighted convolution a plain one with W * Phi as its weights; the outputs stay the same.

    Args:
        model: any module, also a single layer.

    Returns:
        The same model.

    Raises:
        ValueError: a weighted layer is parametrized. Nothing is changed then.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}
    for name, layer in layers.items():
        if (computed := _computed(layer)) is not None:
            raise ValueError(f"layer {name!r} is parametrized ({computed}): remove the parametrization, then fold")
    folded: dict[Tensor, tuple[Tensor, nn.Parameter]] = {}  # weights tied under one density stay tied
    for layer in layers.values():
        weight, phi = layer.weight, layer.density.detach()
        if weight not in folded or not torch.equal(folded[weight][0], phi):
            product = weighted(weight.detach(), phi)
            folded[weight] = phi, nn.Parameter(product, requires_grad=weight.requires_grad)
        layer.weight = folded[weight][1]
        for attribute in (TRAINED, "_phi", "_exact", "_fixed", "_start", "_parametrization", "_one_for_all"):
            delattr(layer, attribute)
        layer.__class__ = layer.plain  # type: ignore[assignment]
    return model


def _key(kernel_size: tuple[int, ...], density: Mapping[KernelSize, Density]) -> KernelSize | None:
    """Return the key that means a kernel: its shape, or the one size that all of its axes have."""
    keys: list[KernelSize] = [kernel_size, *(kernel_size[:1] if len(set(kernel_size)) == 1 else ())]
    return next((key for key in keys if key in density), None)


def _kind(module: nn.Module) -> type[nn.Module]:
    """Return the class that a layer has, or will have, of itself."""
    if isinstance(module, LazyModuleMixin):
        return module.cls_to_become or type(module)
    return type_before_parametrizations(module)


def _computed(module: nn.Module) -> str | None:
    """Name what is computed anew at each use (parametrize) or at each call (the older weight_norm, and pruning)."""
    if is_parametrized(module):
        return ", ".join(module.parametrizations)  # type: ignore[arg-type]
    return None if "weight" in module._parameters else "weight, by a hook"


def _matches(name: str, module: nn.Module, which: Which) -> bool:
    if callable(which):
        return which(name, module)
    return any(fnmatch(name, pattern) for pattern in ([which] if isinstance(which, str) else which))


def _try(
    density: Mapping[KernelSize, Density],
    chosen: Mapping[ConvNd, KernelSize],
    trainable: bool,
    parametrization: Parametrization | None,
    preserve: str,
) -> None:
    """Make one layer of each kind without memory, so that what is wrong is said before anything is changed."""
    kinds: dict[tuple[type[ConvNd], tuple[int, ...]], KernelSize] = {
        (type(layer), layer.kernel_size): key for layer, key in chosen.items()
    }
    for key in density.keys() - set(chosen.values()):  # what no layer has is checked all the same
        sizes = (key,) * _axes(density[key]) if isinstance(key, int) else key
        if not (isinstance(sizes, tuple) and len(sizes) in (1, 2, 3) and all(isinstance(size, int) for size in sizes)):
            raise ValueError(f"density key {key!r}: expected a kernel size such as 3 or (3, 5)")
        kinds[list(WEIGHTED)[len(sizes) - 1], sizes] = key
    for (kind, kernel_size), key in kinds.items():
        layer = WEIGHTED[kind](1, 1, kernel_size, device="meta")
        layer.set_density(density[key], trainable, parametrization)
        if preserve == "function" and (layer._exact == 0).any():
            raise ValueError(
                f"density {density[key]} of kernel size {key} has a zero: the function cannot be preserved"
            )


def _axes(density: Density) -> int:
    """Return for how many axes a density is meant; one list serves any number, and is tried on two."""
    if isinstance(density, Tensor):
        return density.dim()
    return len(density) if is_per_axis(density) else 2


def _share(chosen: Mapping[ConvNd, KernelSize]) -> None:
    """Let all layers of a kernel size have one parameter."""
    first: dict[KernelSize, Weighted] = {}
    for layer, key in chosen.items():
        assert isinstance(layer, Weighted)
        layer.density_coefficients = first.setdefault(key, layer).density_coefficients


def _divide(chosen: Iterable[ConvNd]) -> None:
    """Divide the weights by Phi; a parameter that several layers tie stays tied."""
    divided: dict[Tensor, nn.Parameter] = {}
    for layer in chosen:
        assert isinstance(layer, Weighted)
        if layer.weight not in divided:
            with torch.no_grad():
                quotient = layer.weight / layer.density
            divided[layer.weight] = nn.Parameter(quotient, requires_grad=layer.weight.requires_grad)
        layer.weight = divided[layer.weight]
