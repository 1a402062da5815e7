"""Plot the landscape of a search: a curve, a map, or parallel coordinates, depending on the number of coefficients."""

from io import BytesIO
from pathlib import Path
from textwrap import wrap
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import escape_mathtext
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.search_history import Search, read_search

COLOURS = {arm.name: arm.colour for arm in arm_styles.ARMS}
_WHITE: dict[str, Any] = {"markerfacecolor": "white", "markeredgecolor": "black", "linestyle": "none", "zorder": 4}
BEST: dict[str, Any] = _WHITE | {"marker": "*", "markersize": 15, "label": "best", "zorder": 5}
PUBLISHED: dict[str, Any] = _WHITE | {"marker": "D", "markersize": 7, "label": "published"}
STANDARD: dict[str, Any] = _WHITE | {"marker": "s", "markersize": 7, "label": "standard"}
HALO = [withStroke(linewidth=3, foreground="white")]  # readable on any colour
_GREY: dict[str, Any] = {"color": "0.2", "linestyle": "none", "markersize": 6, "path_effects": HALO}
UNCOUNTED: dict[str, dict[str, Any]] = {
    "failed": _GREY | {"marker": "x", "label": "failed"},
    "pruned": _GREY | {"marker": "v", "markerfacecolor": "none", "label": "pruned"},
}
DASHED: dict[str, Any] = {"linestyle": "--", "linewidth": 1.2, "zorder": 3}
FINE = 200  # places along a coefficient at which a map is interpolated
MANY = 8  # names of coefficients that fit side by side


def draw(folder: Path, output: Path) -> None:
    """Plot the evaluations of a search into a PNG.

    Args:
        folder: of the search, with history.csv and search.yaml.
        output: the file; its folder is made.

    Raises:
        ValueError: the folder holds no search.
        OSError: the file cannot be written.
    """
    buffer = BytesIO()
    landscape(read_search(folder)).savefig(buffer, format="png")
    output.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(output, buffer.getvalue())


def landscape(search: Search) -> Figure:
    """Return the figure of a search.

    Failed and pruned evaluations are marked at their coefficients, without a value. The best evaluation is the one with
    the best mean among those with the most seeds.
    """
    count = len(search.names)
    width = 6.4 if count < 3 else min(16.0, 5.0 + 0.6 * count)
    figure = Figure(figsize=(width, 4.8), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    (_curve if count == 1 else _map if count == 2 else _parallel)(search, axes)
    axes.spines[["top", "right"]].set_visible(False)
    lines = map(escape_mathtext, wrap(search.summary, min(150, int(13 * width))))
    axes.set_title("\n".join(lines), fontsize="small", loc="left")
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside lower center", ncols=5, frameon=False, fontsize="small")
    return figure


def _curve(search: Search, axes: Axes) -> None:
    """Plot the mean against one coefficient, with a band from the lowest to the highest seed."""
    [name] = search.names
    colour = COLOURS["weighted"]
    counted = search.counted.sort_values(name)
    label = "mean" if search.rows["seed"].nunique() > 1 else "one seed"
    if len(counted):
        axes.plot(counted[name], counted["mean"], "o-", color=colour, markersize=4, linewidth=1.8, label=label)
    else:
        axes.set_yticks([])
    if (counted["n"] > 1).any():
        axes.fill_between(counted[name], counted["low"], counted["high"], color=colour, alpha=0.2, linewidth=0)
        seeds = search.rows[search.rows["evaluation"].isin(counted.index)]
        axes.plot(seeds[name], seeds["value"], ".", color=colour, alpha=0.5, markersize=4, label="a seed")
    axes.axvline(1, color=COLOURS["standard"], linestyle=":", linewidth=1.5, label="standard (1)")
    if search.published:
        value = search.published[0]
        axes.axvline(value, color="0.35", linestyle="--", linewidth=1.2, label=f"published ({value:g})")
    for status, style in UNCOUNTED.items():
        places = _with_status(search, status)[name]
        if len(places):
            axes.plot(places, [0.02] * len(places), transform=axes.get_xaxis_transform(), **style)
    if search.best is not None:
        axes.plot(search.best[name], search.best["mean"], **BEST)
    axes.set(xlabel=escape_mathtext(name), ylabel=search.label, xlim=search.range_of(name))
    axes.grid(alpha=0.25)


def _map(search: Search, axes: Axes) -> None:
    """Draw the evaluations of two coefficients as points, with the colours between them interpolated."""
    first, second = search.names
    colours = _colours(search)
    norm = Normalize(*search.colour_range)
    if surface := search.surface(FINE):
        axes.pcolormesh(*surface, norm=norm, cmap=colours.cmap, shading="nearest")
    counted = search.counted
    axes.scatter(
        counted[first],
        counted[second],
        c=counted["mean"],
        norm=norm,
        cmap=colours.cmap,
        edgecolors="black",
        linewidths=0.6,
        s=28,
        zorder=3,
        path_effects=HALO,
    )
    axes.plot(1, 1, **STANDARD)
    if search.published:
        axes.plot(*search.published, **PUBLISHED)
    for status, style in UNCOUNTED.items():
        places = _with_status(search, status)
        if len(places):
            axes.plot(places[first], places[second], **style)
    if search.best is not None:
        axes.plot(search.best[first], search.best[second], **BEST)
    axes.set(xlabel=escape_mathtext(first), ylabel=escape_mathtext(second))
    axes.set(xlim=search.range_of(first), ylim=search.range_of(second))
    _colour_bar(search, axes, colours)


def _parallel(search: Search, axes: Axes) -> None:
    """Draw one line per evaluation across all coefficients, the best on top; grey bars are the bounds."""
    places = range(len(search.names))
    colours = _colours(search)
    for place, name in enumerate(search.names):
        if name in search.bounds:
            axes.plot([place] * 2, search.bounds[name], color="0.9", linewidth=7, solid_capstyle="butt", zorder=0)
    for status, dashes in (("failed", ":"), ("pruned", "--")):
        for number, (_, row) in enumerate(_with_status(search, status).iterrows()):
            label = "" if number else status
            axes.plot(places, row[list(search.names)], color="0.6", linestyle=dashes, linewidth=0.8, label=label)
    for _, row in search.counted.sort_values("mean", ascending=search.metric.best == "max").iterrows():
        axes.plot(places, row[list(search.names)], color=colours.to_rgba(row["mean"]), linewidth=1.3, zorder=2)
    axes.axhline(1, color=COLOURS["standard"], linestyle=":", linewidth=1.5, label="standard (1)")
    if search.published:
        axes.plot(places, search.published, color="black", marker="D", markersize=5, label="published", **DASHED)
    if search.best is not None:
        best = search.best[list(search.names)]
        axes.plot(places, best, color=COLOURS["weighted"], linewidth=2.5, label="best", zorder=4)
        axes.plot(places, best, **BEST | {"markersize": 9, "label": ""})
    turned: dict[str, Any] = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if len(places) > MANY else {}
    axes.set_xticks(places, [escape_mathtext(name) for name in search.names], fontsize="small", **turned)
    axes.set_ylabel("coefficient")
    axes.grid(axis="x", alpha=0.25)
    _colour_bar(search, axes, colours)


def _with_status(search: Search, status: str) -> pd.DataFrame:
    return search.evaluations[search.evaluations["status"] == status]


def _colours(search: Search) -> ScalarMappable:
    """Return the colour map of values; the best ones are dark."""
    return ScalarMappable(Normalize(*search.colour_range), "cividis_r" if search.metric.best == "max" else "cividis")


def _colour_bar(search: Search, axes: Axes, colours: ScalarMappable) -> None:
    low, high = search.colour_range
    means = search.counted["mean"]
    if means.nunique() < 2:  # all values have the same colour
        return
    cut = {(True, False): "min", (False, True): "max", (True, True): "both"}
    extend = cut.get((bool(means.min() < low), bool(means.max() > high)), "neither")
    figure = axes.get_figure()
    assert figure is not None
    figure.colorbar(colours, ax=axes, label=search.label, extend=extend)
