"""Which coefficients a search has: one density for the network, one a stage, or one a layer."""

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
    """What has one density.

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
    """The coefficients of a search, in an order that a point of it keeps.

    Attributes:
        parts: what has a density each, in the order of the network.
        names: of the coefficients, outermost tap first: "k3[0]"; "stage1.k3[0]"; "features.0.k3[0]".
        bounds: lowest and highest value of each.
    """

    parts: tuple[Part, ...]
    names: tuple[str, ...]
    bounds: tuple[tuple[float, float], ...]

    def words(self, values: Sequence[float]) -> list[str]:
        """Return the words of a command line that choose a point.

        Args:
            values: one a coefficient, in the order of `names`.
        """
        numbers = iter(values)
        counts = {part: int(part.size.removeprefix("k")) // 2 for part in self.parts}
        taps = {part: ",".join(repr(float(value)) for value in islice(numbers, counts[part])) for part in self.parts}
        if not self.parts[0].layers:
            return [f"conv.density.{part.size}=[{text}]" for part, text in taps.items()]
        entries = [f"{layer}:[{text}]" for part, text in taps.items() for layer in part.layers]
        return [f"conv.layer_density={{{','.join(entries)}}}"]

    def point(self, density: Mapping[str, Sequence[float]]) -> list[float]:
        """Return the values at which every part has the density of its kernel size."""
        return [float(value) for part in self.parts for value in density[part.size]]


def search_space(model: nn.Module, scope: str, bounds: Bounds) -> SearchSpace:
    """Return the coefficients of a network that are searched.

    Args:
        model: the backbone, before its convolutions are changed.
        scope: "global", "stage" (see `stages`) or "layer".
        bounds: by kernel size, for each of its coefficients: {"k5": [(0.1, 1.2), (0.5, 1.2)]}; other sizes are left as
            the configuration has them.

    Raises:
        ConfigError: there is no such scope, or the network no such kernels; or a size has another number of
            coefficients.
    """
    if scope not in SCOPES:
        raise ConfigError(f"search.scope={scope}: expected one of {', '.join(SCOPES)}")
    sizes = _weightable(model)
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
    """Return the layers of a network that can be weighted, in stages: "stage1", "stage2", and so on.

    The first convolution, which sees the image, is a stage of its own. After that, a stage goes on as long as the
    number of output channels and the kernel size stay the same. Of a VGG and a ResNet these are the usual ones (but the
    last two of VGG, both of 512 channels, are one), of a DnCNN its first convolution, its body and its last, of a
    NAFNet its levels on the way down, its middle, its levels on the way up, and its last convolution.

    Args:
        model: the backbone, before its convolutions are changed.
    """
    sizes = _weightable(model)
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


def _weightable(model: nn.Module) -> dict[str, str]:
    """Return the kernel size, such as "k3", of each layer that a density by kernel size makes a weighted one."""
    ones = {f"k{size}": [1.0] * (size // 2) for size in sorted(kernel_sizes(model)) if size % 2 and size > 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that are left alone: whoever trains is told
        layers = describe(converted(copy.deepcopy(model), ones))["layers"]
    return {layer["name"]: f"k{layer['kernel_size'][0]}" for layer in layers if layer["density"] is not None}
