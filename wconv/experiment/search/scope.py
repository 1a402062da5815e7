"""The search space: coefficients of one density for the network, one per stage, or one per layer."""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from torch import nn

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.tasks.arms import converted, kernel_sizes
from wconv.experiment.tasks.network import describe

SCOPES = ("global", "stage", "layer")
Bounds = Mapping[str, Sequence[tuple[float, float]]]  # lowest and highest value of each coefficient, by kernel size


@dataclass(frozen=True)
class Part:
    """The layers that share one density.

    Attributes:
        name: "stage1", or that of a layer; empty for the whole network.
        size: kernel size, such as "k3".
        layers: names of its layers.
    """

    name: str
    size: str
    layers: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchSpace:
    """The coefficients of a search; a point has its values in the same order.

    Attributes:
        parts: groups of layers with a density each, in the order of the network.
        names: of the coefficients, outermost tap first: "k3[0]"; "stage1.k3[0]"; "features.0.k3[0]".
        bounds: lowest and highest value of each.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]

    def words(self, values: Sequence[float]) -> list[str]:
        """Return the command-line overrides that select a point.

        Args:
            values: one per coefficient, in the order of `names`.
        """
        numbers = iter(values)
        counts = {part: int(part.size.removeprefix("k")) // 2 for part in self.parts}
        taps = {part: ",".join(repr(float(value)) for value in islice(numbers, counts[part])) for part in self.parts}
        if not self.parts[0].layers:
            return [f"conv.density.{part.size}=[{text}]" for part, text in taps.items()]
        entries = [f"{layer}:[{text}]" for part, text in taps.items() for layer in part.layers]
        return [f"conv.layer_density={{{','.join(entries)}}}"]

    def point(self, density: Mapping[str, Sequence[float]]) -> list[float]:
        """Return the point at which every part has the given density of its kernel size."""
        return [float(value) for part in self.parts for value in density[part.size]]


def search_space(model: nn.Module, scope: str, bounds: Bounds) -> SearchSpace:
    """Return the search space of a network.

    Args:
        model: the backbone, before conversion.
        scope: "global", "stage" (see `stages`) or "layer".
        bounds: by kernel size, for each of its coefficients: {"k5": [(0.1, 1.2), (0.5, 1.2)]}; other sizes keep the
            density of the configuration.

    Raises:
        ConfigError: the scope is unknown, the network has no such kernels, or the number of bounds does not fit a
            kernel size.
    """
    if scope not in SCOPES:
        raise ConfigError(f"search.scope={scope}: expected one of {', '.join(SCOPES)}")
    sizes = weightable_layers(model)
    for size, intervals in bounds.items():
        count = int(size.removeprefix("k")) // 2
        if size not in sizes.values():
            there = ", ".join(sorted(set(sizes.values()))) or "none"
            raise ConfigError(f"bounds of {size}: this model has no such kernels that can be weighted; it has {there}")
        if len(intervals) != count:
            raise ConfigError(f"bounds of {size}: expected {count} pairs of numbers, one a coefficient")
    if scope == "global":
        parts = [Part("", size) for size in bounds]
    elif scope == "layer":
        parts = [Part(layer, size, (layer,)) for layer, size in sizes.items()]
    else:
        parts = [Part(name, sizes[layers[0]], tuple(layers)) for name, layers in stages(model).items()]
    parts = [part for part in parts if part.size in bounds]
    names, intervals_of = [], []
    for part in parts:
        for number, (low, high) in enumerate(bounds[part.size]):
            names.append(f"{part.name}.{part.size}[{number}]".removeprefix("."))
            intervals_of.append((float(low), float(high)))
    return SearchSpace(tuple(parts), tuple(names), tuple(intervals_of))


def stages(model: nn.Module) -> dict[str, list[str]]:
    """Group the layers of a network that can be weighted by stage: "stage1", "stage2", and so on.

    The first convolution, which sees the image, is a stage of its own. After that, a new stage starts whenever the
    number of output channels or the kernel size changes. VGG and ResNet get their usual stages (except that the last
    two of VGG, both of 512 channels, are one); DnCNN gets its first convolution, its body and its last one; NAFNet
    gets the levels of its encoder, its middle, the levels of its decoder, and its last convolution.

    Args:
        model: the backbone, before conversion.
    """
    sizes = weightable_layers(model)
    first = describe(model)["layers"][0]["name"] if sizes else ""
    found: list[list[str]] = []
    before = None
    for layer, size in sizes.items():
        kind = (layer == first, size, model.get_parameter(f"{layer}.weight").shape[0])
        if kind != before:
            found.append([])
        found[-1].append(layer)
        before = kind
    return {f"stage{number}": layers for number, layers in enumerate(found, 1)}


def weightable_layers(model: nn.Module) -> dict[str, str]:
    """Return the kernel size, such as "k3", of each layer that `convert` would make a weighted one."""
    ones = {f"k{size}": [1.0] * (size // 2) for size in sorted(kernel_sizes(model)) if size % 2 and size > 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about layers left alone; training shows them
        layers = describe(converted(copy.deepcopy(model), ones))["layers"]
    return {layer["name"]: f"k{layer['kernel_size'][0]}" for layer in layers if layer["density"] is not None}
