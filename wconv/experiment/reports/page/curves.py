"""Curves over the epochs, one figure per panel and metric: means, bands over the seeds, and diverged runs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from wconv.experiment.common.metrics import METRICS, PRIMARY, SPLITS
from wconv.experiment.reports.page import charts
from wconv.experiment.reports.page.content import Figure, Line, Part, Table

MANY_TIMES = 20  # the loss axis is logarithmic if the largest loss is this many times the smallest
POINTS = 100  # of a line at most, as many as a screen can show
NAMED = 8  # maximum number of lines to label at their ends; the filter also serves as a legend
TELLING = 1500  # maximum number of points in a panel with tooltips
LABEL_HEIGHT = 14  # pixels
COLUMNS = 8  # epochs in the table of a figure


def curve_figures(part: Part) -> dict[str, list[Figure]]:
    """Plot the metric that selects the epoch, and the loss, with one figure per panel on a common scale.

    Different losses have different units, so their panels get separate scales.
    """
    quality = next((name for name in PRIMARY if _split(part.lines, name)), "")
    same_loss = len({line.group.features.get("task.loss") for line in part.lines}) == 1
    found = [(key, split) for key in (quality, "loss") if (split := _split(part.lines, key))]
    figures = {}
    for key, split in found:
        title = f"{SPLITS[split].capitalize()} {METRICS[key].axis}"
        figures[title] = _figures(part.lines, f"{split}/{key}", title, same_loss or key != "loss")
    return {title: some for title, some in figures.items() if some}


def _split(lines: Sequence[Line], key: str) -> str:
    """Return the split on which a metric was measured, preferably validation; empty if it was not measured."""
    for split in ("val", "train"):
        if any(f"{split}/{key}" in frame for line in lines for frame in (*line.histories, *line.diverged)):
            return split
    return ""


def _figures(lines: Sequence[Line], name: str, title: str, has_one_scale: bool) -> list[Figure]:
    key = name.partition("/")[2]
    panels = dict.fromkeys(line.panel for line in lines)
    drawn = {panel: [Drawn(line, name) for line in lines if line.panel == panel] for panel in panels}
    drawn = {panel: shown for panel, some in drawn.items() if (shown := [one for one in some if len(one.values)])}
    everything = [one for some in drawn.values() for one in some]
    return [
        _figure(
            panel, title, some, *_scale(everything if has_one_scale else some, key == "loss"), METRICS[key].decimals
        )
        for panel, some in drawn.items()
    ]


def _scale(drawn: Sequence["Drawn"], is_loss: bool) -> tuple[Sequence[float], bool]:
    """Return the domain of the values, and whether their axis is logarithmic."""
    values = np.concatenate([one.values for one in drawn])
    low, high = float(values.min()), float(values.max())
    if is_loss and low > 0 and high > MANY_TIMES * low:
        return [low * 0.9, high * 1.1], True
    return charts.padded([low, high]), False


class Drawn:
    """A metric of a group over the epochs, in display units.

    Attributes:
        seeds: one row per epoch for which all runs have a value, one column per run that has not diverged.
        diverged: the values of each diverged run.
    """

    def __init__(self, line: Line, name: str) -> None:
        factor = METRICS[name.partition("/")[2]].factor
        runs = [frame[name] for frame in line.histories if name in frame]
        complete = bool(runs) and len(runs) == len(line.histories)
        self.line = line
        self.seeds = factor * pd.concat(runs, axis=1).dropna() if complete else pd.DataFrame()
        self.diverged = [factor * f[name].dropna() for f in line.diverged if name in f and f[name].notna().any()]

    @property
    def values(self) -> np.ndarray[Any, Any]:
        """All values that are drawn."""
        return np.concatenate([self.seeds.to_numpy(float).ravel(), *(run.to_numpy(float) for run in self.diverged)])


def _figure(
    panel: str, title: str, drawn: Sequence[Drawn], domain: Sequence[float], is_log: bool, decimals: int
) -> Figure:
    names = ("lines", "bands", "dots", "ends", "diverged", "crosses")
    data: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for one in drawn:
        marks, seeds = one.line.marks, _thinned(one.seeds)
        if len(seeds):
            mean, epochs = seeds.mean(axis=1), [int(epoch) for epoch in seeds.index]
            data["lines"].append(marks | {"epoch": epochs, "value": _rounded(mean, decimals)})
            last = marks | {"epoch": epochs[-1], "value": float(mean.iloc[-1])}
            data["ends"].append(last)
            if len(epochs) == 1:  # a line through one point cannot be seen
                data["dots"].append(last)
            if seeds.shape[1] > 1:
                edges = {"value": _rounded(seeds.min(axis=1), decimals), "high": _rounded(seeds.max(axis=1), decimals)}
                data["bands"].append(marks | {"epoch": epochs} | edges)
        for number, run in enumerate(one.diverged):
            values, what = _thinned(run), marks | {"run": f"{one.line.title} {number}"}
            data["diverged"].append(what | {"epoch": [*map(int, values.index)], "value": _rounded(values, decimals)})
            data["crosses"].append(what | {"epoch": int(values.index[-1]), "value": float(values.iloc[-1])})
    data["ends"] = _spread(data["ends"], domain, is_log) if len(data["ends"]) <= NAMED else []
    points = sum(len(line["epoch"]) for line in data["lines"])
    spec = charts.curves(data, domain, is_log, f".{decimals}f", points <= TELLING)
    lasts = ", ".join(
        f"{one.line.name} {one.seeds.mean(axis=1).iloc[-1]:.{decimals}f}" for one in drawn if len(one.seeds)
    )
    description = f"{title} of {panel} over the epochs. At the end: {lasts or 'every run has diverged'}."
    models = {one.line.model for one in drawn}
    return Figure(
        panel, description, spec, _table(panel, title, drawn, decimals), models.pop() if len(models) == 1 else ""
    )


def _table(panel: str, title: str, drawn: Sequence[Drawn], decimals: int) -> Table:
    """Return the means at some epochs and at the last one, with the lowest and highest seed of the last."""
    epochs = sorted({int(epoch) for one in drawn for epoch in one.seeds.index})
    picked = (
        [epochs[place] for place in sorted(set(np.linspace(0, len(epochs) - 1, COLUMNS).round().astype(int)))]
        if epochs
        else []
    )
    rows = []
    for one in drawn:
        means = one.seeds.mean(axis=1) if len(one.seeds) else pd.Series(dtype=float)
        cells = [f"{means[epoch]:.{decimals}f}" if epoch in means.index else "-" for epoch in picked]
        last = one.seeds.iloc[-1] if one.seeds.shape[1] > 1 else None
        ends = "-" if last is None else f"{last.min():.{decimals}f} to {last.max():.{decimals}f}"
        rows.append(one.line.row(one.line.name, str(one.seeds.shape[1]), *cells, ends))
    headings = ["arm", "n", *(f"epoch {epoch}" for epoch in picked), "seeds at the end"]
    return Table(f"{panel}: {title}, means over n runs", headings, rows, ["arm"])


def _thinned(values: Any) -> Any:
    """Reduce the rows to those that are drawn, including the first and the last."""
    if len(values) <= POINTS:
        return values
    return values.iloc[np.linspace(0, len(values) - 1, POINTS).round().astype(int)]


def _rounded(values: "pd.Series[float]", decimals: int) -> list[float]:
    return [round(float(value), decimals + 1) for value in values]


def _spread(ends: list[dict[str, Any]], domain: Sequence[float], is_log: bool) -> list[dict[str, Any]]:
    """Spread overlapping labels upwards from the lowest, then shift them back into the figure."""
    scale, back = (math.log, math.exp) if is_log else (float, float)
    low, high = map(scale, domain)
    gap = LABEL_HEIGHT * (high - low) / charts.HEIGHT
    ordered = sorted(ends, key=lambda end: end["value"])
    places: list[float] = []
    for end in ordered:
        places.append(max(scale(end["value"]), places[-1] + gap if places else -math.inf))
    for place in reversed(range(len(places))):
        above = places[place + 1] - gap if place + 1 < len(places) else high
        places[place] = min(places[place], above)
    return [end | {"value": back(place)} for end, place in zip(ordered, places, strict=True)]
