"""Summary of a model: one line per convolution, with its density or why it has none."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils.parametrize import type_before_parametrizations

from wconv.modules import Weighted
from wconv.subclasses import weighted_class
from wconv.torch_private import ConvNd, LazyModuleMixin

REPORT = "_wconv_report"


@dataclass(frozen=True)
class Layer:
    """One convolution.

    Attributes:
        name: dotted name inside the model; empty for the model itself.
        kernel_size: taps per axis.
        density: coefficients per axis, or None if the layer is not weighted, Phi was given tap by tap, or a trained
            density is sharded.
        trainable: whether the density is trained.
        note: why `density` is None; empty otherwise.
    """

    name: str
    kernel_size: tuple[int, ...]
    density: tuple[tuple[float, ...], ...] | None
    trainable: bool = False
    note: str = ""


class Summary(Sequence[Layer]):
    """The convolutions of a model in the order of `named_modules`; prints as a table.

    Attributes:
        layers: one entry per convolution.
        unused: keys of `density` that converted no layer in the last conversion.
    """

    def __init__(self, layers: Iterable[Layer], unused: Mapping[Any, str] | None = None) -> None:
        self.layers = list(layers)
        self.unused = list(unused or ())
        self._messages = list((unused or {}).values())

    def __len__(self) -> int:
        """Return the number of convolutions."""
        return len(self.layers)

    def __getitem__(self, index: Any) -> Any:
        """Return one convolution, or a slice of them."""
        return self.layers[index]

    def __str__(self) -> str:
        """Return the table."""
        rows = [("layer", "kernel", "density", "trained", "note")]
        for layer in self.layers:
            density = "-" if layer.density is None else _text(layer.density)
            sizes = "x".join(map(str, layer.kernel_size))
            rows.append((layer.name or "(model)", sizes, density, "yes" if layer.trainable else "-", layer.note))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *self._messages])


def summary(model: nn.Module) -> Summary:
    """List every convolution of a model: its density, or why it has none."""
    reasons, unused = getattr(model, REPORT, ({}, {}))
    layers = []
    for name, module in model.named_modules():
        if isinstance(module, Weighted):
            trained = module.density_coefficients is not None
            density = None if module.has_sharded_density else module.coefficients
            note = "sharded over processes" if module.has_sharded_density else "Phi given tap by tap"
            layers.append(Layer(name, module.kernel_size, density, trained, note if density is None else ""))
        elif (kernel_size := kernel_size_of(module)) is not None:
            layers.append(Layer(name, kernel_size, None, False, reasons.get(name) or why_not(module)))
    return Summary(layers, unused)


def kernel_size_of(module: nn.Module) -> tuple[int, ...] | None:
    """Return the taps per axis of a convolution, or None for other modules.

    Besides those of `torch.nn`, a module counts as a convolution if it has a weight of its own and either has a
    kernel size, or has "conv" in the name of its class and a weight with spatial axes.
    """
    if isinstance(module, ConvNd):
        return module.kernel_size
    weight, size = module._parameters.get("weight"), getattr(module, "kernel_size", None)
    if weight is None or is_lazy(weight):
        return None
    if isinstance(size, int):
        return (size,) * max(weight.dim() - 2, 1)
    if isinstance(size, Sequence) and size and all(isinstance(taps, int) for taps in size):
        return tuple(size)
    return tuple(weight.shape[2:]) or None if "conv" in type(module).__name__.lower() else None


def kind_of(module: nn.Module) -> type[nn.Module]:
    """Return the class of a layer without its parametrizations; of a lazy layer, the class it will become."""
    if isinstance(module, LazyModuleMixin):
        return module.cls_to_become or type(module)
    return type_before_parametrizations(module)


def why_not(module: nn.Module) -> str:
    """Say why a layer is not weighted, as far as its class shows."""
    if weighted_class(kind_of(module)) is not None:
        return "not converted"
    return f"{type(module).__name__} is a class of its own and left alone"


def leave_report(model: nn.Module, reasons: Mapping[str, str], unused: Mapping[Any, str]) -> None:
    """Store on the model, for `summary`, what only the conversion knows."""
    setattr(model, REPORT, (dict(reasons), dict(unused)))


def _text(density: tuple[tuple[float, ...], ...]) -> str:
    axes = [", ".join(f"{value:g}" for value in axis) or "1" for axis in density]
    return axes[0] if len(set(axes)) == 1 else " x ".join(axes)
