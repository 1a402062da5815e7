"""What a conversion did: one line a convolution."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from wconv.modules import WEIGHTED, Weighted
from wconv.torch_private import ConvNd

REPORT = "_wconv_report"


@dataclass(frozen=True)
class Layer:
    """One convolution.

    Attributes:
        name: dotted name inside the model; empty for the model itself.
        kernel_size: taps an axis.
        density: coefficients an axis, or None where the layer is not weighted or Phi was given tap by tap.
        trainable: whether the density is trained.
        note: why the layer is not weighted; empty where it is.
    """

    name: str
    kernel_size: tuple[int, ...]
    density: tuple[tuple[float, ...], ...] | None
    trainable: bool = False
    note: str = ""


class Summary(Sequence[Layer]):
    """The convolutions of a model in the order of `named_modules`; prints as a table.

    Attributes:
        layers: one entry a convolution.
        unused: keys of the last conversion that matched no layer.
    """

    def __init__(self, layers: Iterable[Layer], unused: Iterable[Any] = ()) -> None:
        self.layers = list(layers)
        self.unused = list(unused)

    def __len__(self) -> int:
        """Return the number of convolutions."""
        return len(self.layers)

    def __getitem__(self, index: Any) -> Any:
        """Return one of them, or several."""
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
        lines += [f"density for kernel size {key}: the model has no such convolution" for key in self.unused]
        return "\n".join(lines)


def summary(model: nn.Module) -> Summary:
    """List every convolution of a model: its density, or why it has none."""
    reasons, unused = getattr(model, REPORT, ({}, []))
    layers = []
    for name, module in model.named_modules():
        if isinstance(module, Weighted):
            trained = module.density_coefficients is not None
            note = "Phi given tap by tap" if module.coefficients is None else ""
            layers.append(Layer(name, module.kernel_size, module.coefficients, trained, note))
        elif isinstance(module, ConvNd):
            layers.append(Layer(name, module.kernel_size, None, False, reasons.get(name) or why_not(module)))
    return Summary(layers, unused)


def why_not(module: ConvNd) -> str:
    """Say why a layer is not weighted, as far as the layer alone tells."""
    if type(module) in WEIGHTED:
        return "not converted"
    return f"{type(module).__name__} is a class of its own and left alone"


def leave_report(model: nn.Module, reasons: Mapping[str, str], unused: Sequence[Any]) -> None:
    """Keep for `summary` what only the conversion knew."""
    setattr(model, REPORT, (dict(reasons), list(unused)))


def _text(density: tuple[tuple[float, ...], ...]) -> str:
    axes = [", ".join(f"{value:g}" for value in axis) or "1" for axis in density]
    return axes[0] if len(set(axes)) == 1 else " x ".join(axes)
