"""Results of density searches, each as a figure chosen by its number of coefficients."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wconv.experiment.reports.page import charts, search_charts
from wconv.experiment.reports.page.content import Figure, Row, Table, plain
from wconv.experiment.reports.page.palette import paint
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.search_history import STATUSES, Search, read_search

CELLS = 32  # of a map, along each axis
OVERLAP = 1.08  # enlargement of a cell, which hides the seams to its neighbours
COLOURS = {arm.name: arm.colour for arm in arm_styles.ARMS if arm.name in ("standard", "weighted")}


@dataclass(frozen=True)
class Landscape:
    """A search on the page.

    Attributes:
        name: of its folder.
        summary: the result in words.
        figure: its evaluations.
    """

    name: str
    summary: str
    figure: Figure


def landscapes(folders: Iterable[Path]) -> tuple[list[Landscape], list[str]]:
    """Draw each search; return also a message for each one that cannot be read."""
    found, unread = [], []
    for folder in folders:
        try:
            search = read_search(folder)
        except ValueError as error:
            unread.append(plain(error))
        else:
            found.append(Landscape(plain(folder.name), search.summary, _figure(search)))
    return found, unread


def _figure(search: Search) -> Figure:
    draw = {1: _curve, 2: _map}.get(len(search.names), _parallel)
    what = "a line an evaluation" if draw is _parallel else " and ".join(map(plain, search.names))
    title = f"{search.label[0].upper()}{search.label[1:]}, {what}"
    return Figure(title, f"{title}. {search.summary}.", draw(search), _table(search))


def _table(search: Search) -> Table:
    """Return the evaluations, best first, followed by those without a value."""
    decimals = search.metric.decimals
    is_lowest_best = search.metric.best == "min"
    counted = search.counted.sort_values("mean", ascending=is_lowest_best)
    others = search.evaluations.drop(index=counted.index)
    rows = []
    for number, row in pd.concat([counted, others]).iterrows():
        has_value = row["status"] == "completed"
        value = f"{row['mean']:.{decimals}f}" if has_value else "-"
        seeds = f"{row['low']:.{decimals}f} to {row['high']:.{decimals}f}" if has_value and row["n"] > 1 else "-"
        cells = [*(f"{row[name]:.4g}" for name in search.names), value, str(row["n"]), seeds, str(row["status"])]
        rows.append(Row([str(number), *cells]))
    names = [plain(name) for name in search.names]
    columns = ["evaluation", *names, search.label, "n", "seeds", "status"]
    return Table(f"{plain(search.folder.name)}: evaluations, means over n seeds", columns, rows, ["status"])


def _curve(search: Search) -> dict[str, Any]:
    [name] = search.names
    means = _records(search.counted.sort_values(name), {name: "x", "mean": "value", "low": "low", "high": "high"})
    rows = search.rows[search.rows["evaluation"].isin(search.counted.index)]
    seeds = _records(rows, {name: "x", "value": "value"}) if (search.counted["n"] > 1).any() else []
    # Labels go near the best value, on the side without the curve, one below the other.
    top = 0 if search.metric.best == "min" else charts.HEIGHT - 56
    references = [{"x": 1.0, "name": "standard", "paint": paint(COLOURS["standard"]), "height": top}]
    if search.published:
        words = {"name": "published", "paint": charts.MUTED, "height": top + 16}
        references.append({"x": search.published[0], **words})
    data = {"means": means, "seeds": seeds, "references": references, "marks": _marks(search, {name: "x"})}
    return search_charts.curve(data, plain(name), search.range_of(name), paint(COLOURS["weighted"]), _digits(search))


def _map(search: Search) -> dict[str, Any]:
    first, second = search.names
    axes = {first: "x", second: "y"}
    marks = [*_marks(search, axes), {"x": 1.0, "y": 1.0, "name": "standard"}]
    if search.published:
        marks.append({**dict(zip("xy", search.published, strict=True)), "name": "published"})
    data = {"cells": _cells(search), "points": _records(search.counted, axes | {"mean": "value"}), "marks": marks}
    names, domains = [plain(name) for name in search.names], [search.range_of(name) for name in search.names]
    return search_charts.colour_map(data, names, domains, _colours(search), _digits(search))


def _cells(search: Search) -> list[dict[str, float]]:
    """Return the cells of a map that lie between evaluations."""
    if (surface := search.surface(CELLS)) is None:
        return []
    across, up, values = surface
    halves = [OVERLAP * (axis[1] - axis[0]) / 2 for axis in (across, up)]
    return [
        {"x": x - halves[0], "x2": x + halves[0], "y": y - halves[1], "y2": y + halves[1], "value": float(value)}
        for y, row in zip(up.tolist(), values, strict=True)
        for x, value in zip(across.tolist(), row, strict=True)
        if value == value  # drop nan, outside the evaluations
    ]


def _parallel(search: Search) -> dict[str, Any]:
    names = {name: plain(name) for name in search.names}
    counted = search.counted.sort_values("mean", ascending=search.metric.best == "max")  # the best on top
    without = search.evaluations[search.evaluations["status"].isin(STATUSES)]

    def lines(table: pd.DataFrame, *more: str) -> list[dict[str, Any]]:
        found = table.reset_index().melt(["evaluation", *more], list(names), "name", "y")
        return _dicts(found.assign(name=found["name"].map(names)).rename(columns={"mean": "value"}))

    best = {} if search.best is None else {name: float(search.best[name]) for name in names}
    published = dict(zip(names, search.published or (), strict=False))
    data = {
        "bounds": [{"name": names[name], "y": low, "y2": high} for name, (low, high) in search.bounds.items()],
        "uncounted": lines(without),
        "lines": lines(counted, "mean"),
        "published": [{"name": names[name], "y": value} for name, value in published.items()],
        "best": [{"name": names[name], "y": value} for name, value in best.items()],
    }
    return search_charts.parallel(data, list(names.values()), _colours(search), _digits(search))


def _marks(search: Search, axes: dict[str, str]) -> list[dict[str, Any]]:
    """Return the marks of evaluations without a value, and of the best one."""
    found = []
    for status in STATUSES:
        places = _records(search.evaluations[search.evaluations["status"] == status], axes)
        found += [place | {"name": status} for place in places]
    if search.best is not None:
        best = {field: float(search.best[name]) for name, field in (axes | {"mean": "value"}).items()}
        found.append(best | {"name": "best"})
    return found


def _records(table: pd.DataFrame, fields: dict[str, str]) -> list[dict[str, Any]]:
    return _dicts(table[list(fields)].rename(columns=fields).astype(float))


def _dicts(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def _colours(search: Search) -> Any:
    title = search.label if search.counted["mean"].nunique() > 1 else ""
    return search_charts.value_colours(search.colour_range, search.metric.best, title, _digits(search))


def _digits(search: Search) -> str:
    return f".{search.metric.decimals}f"
