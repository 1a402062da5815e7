"""Convert the convolutions of any model to weighted ones, and fold them back to plain ones."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatch
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from wconv.density import Density, is_per_axis
from wconv.distributed import is_distributed, is_fully_sharded, reshard, set_value
from wconv.functional import weighted
from wconv.modules import TRAINED, WEIGHTED, Weighted
from wconv.parametrization import Parametrization
from wconv.report import kernel_size_of, kind_of, leave_report, why_not
from wconv.subclasses import weighted_class
from wconv.torch_private import ConvNd, LazyModuleMixin, forget_parameter

KernelSize = int | tuple[int, ...]
_LEFT_OUT = (
    "all such convolutions are weighted already and keep their density (layer.set_density changes it), "
    "left out by include or exclude, or of a class that is left alone"
)
_ALONE = "all such convolutions are of classes that are left alone"
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
    subclasses: Mapping[type[nn.Module], type[Weighted]] | None = None,
) -> nn.Module:
    """Convert every convolution whose kernel size has a density to a weighted one, in place.

    Each layer stays the same object and only changes its class: parameters, hooks, device, dtype and mode are kept,
    shared layers stay shared, and an existing optimiser still trains them. No random number is drawn.

    From then on `layer.weight` is W, not the kernel W * Phi that is applied, so fold the model (`wconv.fold`) before
    giving it to tools that merge, fuse or quantise weights. docs/ecosystem.md has a table of tools.

    Args:
        model: any module, also a single convolution. `torch.nn.Conv1d`, `Conv2d`, `Conv3d` are converted, and
            subclasses that override neither `forward` nor `_conv_forward`; others are left alone, and a warning and
            `wconv.summary` say so.
        density: density by kernel size: `{3: [0.7]}` for kernels of 3, 3x3 and 3x3x3, or
            `{(3, 5): ([0.7], [0.2, 0.8])}`.
        include: names of the layers to convert, with wildcards ("features.*"), one or several; or a function of name
            and module.
        exclude: likewise, those to leave alone.
        trainable: train the densities: True for one per layer, "shared" for one per kernel size (tied parameters,
            which `to_empty` unties, as it does all tied parameters).
        parametrization: as in `wconv.WeightedConv2d`.
        preserve: "weights" keeps W, so the function changes; "function" keeps the function by dividing W by Phi (in
            new parameters, so create the optimiser afterwards).
        subclasses: for each class with a forward of its own, its weighted class, which must derive from it and from
            a weighted layer such as `wconv.WeightedConv2d` (docs/ecosystem.md). Those of timm are in
            `wconv.timm_layers.SUBCLASSES`.

    Returns:
        The same model.

    Raises:
        ValueError: a density does not fit its kernel size, or has a zero to divide by; a class in `subclasses` is not
            a weighted one; or a layer to convert is parametrized, lazy, sharded (with a trained density), or a hook has
            replaced its `forward`. The model is unchanged then.

    Warns:
        UserWarning: a key of `density` converted no layer, or layers of its size are left alone because of their class.
    """
    if preserve not in ("weights", "function"):
        raise ValueError(f"preserve={preserve!r}: expected 'weights' or 'function'")
    if not isinstance(density, Mapping):
        raise ValueError(f"density={density!r}: expected coefficients per kernel size, e.g. {{3: [0.7]}}")
    classes = _checked(subclasses or {})
    chosen: dict[ConvNd, KernelSize] = {}
    becomes: dict[ConvNd, type[Weighted]] = {}
    reasons: dict[str, str] = {}
    unused: dict[KernelSize | None, str] = dict.fromkeys(density, "the model has no such convolution")
    foreign: Counter[type[nn.Module]] = Counter()
    for name, module in model.named_modules():
        kernel_size = kernel_size_of(module)
        if kernel_size is None:
            continue
        key = _key(kernel_size, density)
        kind = classes.get(kind_of(module)) or weighted_class(kind_of(module))
        if isinstance(module, Weighted):
            unused[key] = _LEFT_OUT
        elif not _matches(name, module, include) or _matches(name, module, exclude):
            reasons[name] = "left out by include or exclude"
            unused[key] = _LEFT_OUT
        elif key is None:
            reasons[name] = "no density for this kernel size"
        elif kind is None or not isinstance(module, ConvNd):
            reasons[name] = why_not(module)
            foreign[type(module)] += 1
            unused[key] = _LEFT_OUT if unused.get(key) == _LEFT_OUT else _ALONE
        else:
            _refuse_computed(name, module, bool(trainable))
            chosen[module], becomes[module] = key, kind
    _try(density, chosen, becomes, bool(trainable), parametrization, preserve)

    for layer, key in chosen.items():
        layer.__class__ = becomes[layer]
        assert isinstance(layer, Weighted)
        layer.set_density(density[key], bool(trainable), parametrization)
    if trainable == "shared":
        _share(chosen)
    if preserve == "function":
        _divide(chosen)
    messages = {key: f"density for kernel size {key}: {unused[key]}" for key in density if key not in chosen.values()}
    for key, message in messages.items():
        if unused[key] != _ALONE:  # these get a warning of their own
            warnings.warn(message, stacklevel=2)
    if foreign:
        warnings.warn(_left_alone(foreign), stacklevel=2)
    leave_report(model, reasons, messages)
    return model


def fold(model: nn.Module) -> nn.Module:
    """Turn every weighted convolution into a plain one with W * Phi as its weights, in place; outputs stay the same.

    Args:
        model: any module, also a single layer.

    Returns:
        The same model.

    Raises:
        ValueError: a weighted layer is parametrized, or a hook has replaced its `forward`. The model is unchanged then.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Weighted)}
    for name, layer in layers.items():
        if (computed := _computed(layer)) is not None:
            raise ValueError(f"layer {name!r} is parametrized ({computed}): remove the parametrization, then fold")
        if _has_foreign_forward(layer):
            raise ValueError(f"layer {name!r} has a forward of its own (a hook of accelerate?): remove it, then fold")
    reshard(model)
    products = [weighted(layer.plain_kernel().detach(), layer.density.detach()) for layer in layers.values()]
    folded: dict[Tensor, tuple[Tensor, nn.Parameter]] = {}  # weights tied under one density stay tied
    for layer, product in zip(layers.values(), products, strict=True):
        weight = layer.weight
        assert isinstance(weight, nn.Parameter)
        if weight not in folded or not torch.equal(folded[weight][0], product):
            folded[weight] = product, set_value(weight, product)
        layer.become_plain(folded[weight][1])
    if any(is_fully_sharded(type(module)) for module in model.modules()):
        forget_parameter(model, set(layers.values()), TRAINED)
    return model


def is_folded(model: nn.Module) -> bool:
    """Tell whether every convolution applies its `weight` as it is, so that any tool may read it."""
    return not any(isinstance(module, Weighted) for module in model.modules())


def _key(kernel_size: tuple[int, ...], density: Mapping[KernelSize, Density]) -> KernelSize | None:
    """Return the key of `density` that matches a kernel: its shape, or the size that all its axes share."""
    keys: list[KernelSize] = [kernel_size, *(kernel_size[:1] if len(set(kernel_size)) == 1 else ())]
    return next((key for key in keys if key in density), None)


def _has_foreign_forward(module: nn.Module) -> bool:
    """Tell whether the `forward` of this object was replaced; one that a removed hook restored counts as its own."""
    forward = vars(module).get("forward")
    if forward is not None and getattr(forward, "__func__", None) is type(module).forward:
        del module.forward
        forward = None
    return forward is not None


def _checked(subclasses: Mapping[type[nn.Module], type[Weighted]]) -> Mapping[type[nn.Module], type[Weighted]]:
    for kind, becomes in subclasses.items():
        if not issubclass(becomes, Weighted) or not issubclass(becomes, kind):
            raise ValueError(
                f"subclasses[{kind.__name__}] is {becomes.__name__}: expected a class below both {kind.__name__} and a "
                "weighted convolution such as wconv.WeightedConv2d"
            )
    return subclasses


def _left_alone(foreign: Counter[type[nn.Module]]) -> str:
    names = ", ".join(f"{kind.__name__} ({count})" for kind, count in foreign.most_common())
    ours = any(kind.__module__.startswith("timm.") for kind in foreign)
    have, are, classes = ("convolutions have", "are", "their classes convolve in their")
    if foreign.total() == 1:
        have, are, classes = ("convolution has", "is", "its class convolves in its")
    return (
        f"{foreign.total()} {have} a kernel size with a density and {are} left alone, since {classes} own way: "
        f"{names}. Exclude them, or say how to convert them with subclasses="
        f"{' (wconv.timm_layers.SUBCLASSES for those of timm)' if ours else ''}"
    )


def _refuse_computed(name: str, module: ConvNd, trainable: bool) -> None:
    """Refuse a layer that would not compute with the density it is given.

    Raises:
        ValueError: it is lazy, parametrized, has a forward of its own, or its trained density would not be sharded.
    """
    if isinstance(module, LazyModuleMixin):
        raise ValueError(f"layer {name!r} is lazy and has no kernel yet: pass a batch through the model first")
    if (computed := _computed(module)) is not None:
        raise ValueError(
            f"layer {name!r} is parametrized ({computed}), which replaces its weight or its class: "
            "convert first and register the parametrization then, or exclude the layer"
        )
    if _has_foreign_forward(module):
        raise ValueError(
            f"layer {name!r} has a forward of its own, put there by a hook (of accelerate?), that knows of no density: "
            "convert first, then add the hook"
        )
    if trainable and is_distributed(module.weight):
        raise ValueError(
            f"layer {name!r} is sharded, and a density that is trained has to be, too: "
            "convert first, then fully_shard or distribute"
        )


def _computed(module: nn.Module) -> str | None:
    """Name the tensors recomputed at each use (parametrize) or at each call (the older weight_norm, and pruning)."""
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
    becomes: Mapping[ConvNd, type[Weighted]],
    trainable: bool,
    parametrization: Parametrization | None,
    preserve: str,
) -> None:
    """Try one layer of each kind on the meta device, so that errors are raised before the model is changed."""
    kinds: dict[tuple[type[Weighted], tuple[int, ...]], KernelSize] = {
        (becomes[layer], layer.kernel_size): key for layer, key in chosen.items()
    }
    for key in density.keys() - set(chosen.values()):  # keys that match no layer are checked, too
        sizes = (key,) * _axes(density[key], key) if isinstance(key, int) else key
        if not (isinstance(sizes, tuple) and len(sizes) in (1, 2, 3) and all(isinstance(size, int) for size in sizes)):
            raise ValueError(f"density key {key!r}: expected a kernel size such as 3 or (3, 5)")
        kinds[list(WEIGHTED.values())[len(sizes) - 1], sizes] = key
    for (kind, kernel_size), key in kinds.items():
        layer = list(WEIGHTED.values())[len(kernel_size) - 1](1, 1, kernel_size, device="meta")
        layer.set_density(density[key], trainable, parametrization)
        if preserve == "function" and kind.plain_kernel is not Weighted.plain_kernel:
            raise ValueError(f"{kind.__name__} computes its kernel from the weights: the function cannot be preserved")
        if preserve == "function" and (layer._exact == 0).any():
            raise ValueError(
                f"density {density[key]} of kernel size {key} has a zero: the function cannot be preserved"
            )


def _axes(density: Density, key: int) -> int:
    """Return the number of axes a density is given for; a single list fits any number and is tried on two."""
    if isinstance(density, Tensor):
        return density.dim()
    if not isinstance(density, Sequence):  # an array: Phi, one row per axis, or one row for all
        sizes = tuple(density.shape)
        return len(sizes) if set(sizes) == {key} else sizes[0] if len(sizes) > 1 else 2
    return len(density) if is_per_axis(density) else 2


def _share(chosen: Mapping[ConvNd, KernelSize]) -> None:
    """Tie the trained densities of all layers of a kernel size to one parameter."""
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
