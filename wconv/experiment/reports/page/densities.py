"""The densities of the runs, and the change of trained ones in each layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wconv.experiment.reports.density_maps import density_function
from wconv.experiment.reports.page import charts
from wconv.experiment.reports.page.content import Figure, Line, Part, Table, plain
from wconv.experiment.runs.saved_runs import Taps, format_density, own_density

MOST = 12  # densities shown
PREFIX = "density/"  # of a trained coefficient in metrics.csv: density/<layer>/<index from the outermost tap inwards>


@dataclass(frozen=True)
class DensityMap:
    """A density as a table of shaded cells.

    Attributes:
        name: kernel size and coefficients.
        users: names of the arms that use it.
        rows: values of Phi as text, each with its percentage of the largest one.
    """

    name: str
    users: str
    rows: Sequence[Sequence[tuple[str, int]]]


def density_maps(parts: Sequence[Part]) -> tuple[list[DensityMap], int]:
    """Return the densities of the runs up to the limit, and how many more there are."""
    users: dict[tuple[str, Taps], dict[str, None]] = {}
    for part in parts:
        for line in part.lines:
            for density in dict.fromkeys(found for run in line.group.runs.values() for found in run.densities):
                users.setdefault(density, {})[line.arm] = None
    maps = [DensityMap(plain(format_density(d)), ", ".join(names), _shades(d[1])) for d, names in users.items()]
    return maps[:MOST], max(0, len(maps) - MOST)


def _shades(taps: Taps) -> list[list[tuple[str, int]]]:
    phi = density_function(taps)
    phi = phi.reshape(-1, phi.shape[-1])
    largest = float(np.abs(phi).max()) or 1.0
    return [[(f"{value:.3g}", round(100 * abs(value) / largest)) for value in row] for row in phi.tolist()]


def movement_figures(part: Part) -> list[Figure]:
    """Plot start and end of each trained coefficient in every layer, one figure per group and coefficient."""
    figures = []
    for line in part.lines:
        moved = _movements(line)
        numbers = sorted({number for _, number in moved})
        ends = [value for row in moved.values() for value in (row["start"], row["low"], row["high"])]
        for number in numbers:
            rows = [row | line.marks | {"layer": layer} for (layer, n), row in moved.items() if n == number]
            which = (
                f"coefficient {number + 1} of {len(numbers)}, from the outermost" if len(numbers) > 1 else "coefficient"
            )
            title = f"{line.title}: {which}, by layer"
            far = max(rows, key=lambda row: abs(row["value"] - row["start"]))
            description = (
                f"{title}. Farthest: {far['layer']}, from {far['start']:.3f} to {far['value']:.3f}. "
                "The bar spans the seeds."
            )
            cells = [(row["layer"], *(f"{row[key]:.3f}" for key in ("start", "value", "low", "high"))) for row in rows]
            headings = ["layer", "at the start", "at the end, mean", "lowest seed", "highest seed"]
            table = Table(title, headings, [line.row(*some) for some in cells], ["layer"])
            spec = charts.movements(rows, charts.padded(ends))
            figures.append(Figure(title, description, spec, table, line.model))
    return figures


def _movements(line: Line) -> dict[tuple[str, int], dict[str, Any]]:
    """Return start and end of each trained coefficient, by layer and index from the outermost."""
    ends: dict[str, list[tuple[float, float]]] = {}
    for frame in line.histories:
        for name in frame.columns:
            values = frame[name].dropna()
            if str(name).startswith(PREFIX) and len(values):
                ends.setdefault(str(name), []).append((float(values.iloc[0]), float(values.iloc[-1])))
    starts = _chosen(line.results)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for name, seeds in ends.items():
        layer, _, number = name.removeprefix(PREFIX).rpartition("/")
        if not number.isdigit():
            continue
        last = [end for _, end in seeds]
        start = starts.get((layer, int(number)), float(np.mean([first for first, _ in seeds])))
        row = {"start": start, "value": float(np.mean(last)), "low": min(last), "high": max(last)}
        found[plain(layer), int(number)] = row
    return found


def _chosen(results: Sequence[Mapping[str, Any]]) -> dict[tuple[str, int], float]:
    """Return the initial coefficients of each layer: those of its name, or of its kernel size."""
    found: dict[tuple[str, int], float] = {}
    for content in results[:1]:
        for layer in content.get("layers", []):
            own = own_density(layer, content.get("layer_density") or {})
            taps = own[1] if own else (content.get("density") or {}).get(f"k{layer['kernel_size'][0]}")
            if layer.get("trainable") and taps:
                found |= {(str(layer["name"]), number): float(value) for number, value in enumerate(taps)}
    return found
