"""Gradient search: train the density with each seed, average and round it, and evaluate it as a fixed density."""

from collections.abc import Sequence
from statistics import fmean

from wconv.experiment import run
from wconv.experiment.search.scope import Part
from wconv.experiment.search.settings import Settings


def trained_density(settings: Settings) -> list[float]:
    """Train the densities (conv=trainable) with each seed, and return their mean at the end of training.

    The mean is over the seeds, and over the layers that share a coefficient. Training starts from the published
    density.

    Raises:
        RunError: a training failed or was stopped; the same command continues it.
    """
    words = [word for word in settings.words if not word.startswith("conv.density.")]
    kept = [word for word in settings.words if word.startswith("conv.density.")]
    kept.append(f"conv.lr={settings.search['lr']}")
    ends = []
    for seed in settings.seeds:
        result = run([*words, "conv=trainable", *kept, f"seed={seed}"])
        ends.append(average(result.results["layers"], settings.space.parts))
    decimals = int(settings.search["decimals"])
    return [round(fmean(values), decimals) for values in zip(*ends, strict=True)]


def average(layers: Sequence[dict[str, object]], parts: Sequence[Part]) -> list[float]:
    """Return the coefficients of each part: the mean over its layers, and over the axes of each.

    Args:
        layers: the layers in results.json.
        parts: of the search space.
    """
    found: list[float] = []
    for part in parts:
        axes = [
            axis
            for layer in layers
            if _belongs(layer, part) and isinstance(layer["density"], list)
            for axis in layer["density"]
        ]
        found += [fmean(values) for values in zip(*axes, strict=True)]
    return found


def _belongs(layer: dict[str, object], part: Part) -> bool:
    sizes = layer["kernel_size"]
    of_size = isinstance(sizes, list) and all(f"k{size}" == part.size for size in sizes)
    return of_size and (not part.layers or layer["name"] in part.layers)
