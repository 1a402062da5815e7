"""Plot a run or a comparison: accuracy or PSNR and loss over the epochs, and the densities."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.metrics import METRICS, PRIMARY, Metric, not_finite
from wconv.experiment.common.text import escape_mathtext
from wconv.experiment.reports.comparison import Comparison, Group
from wconv.experiment.reports.curve_labels import labels, title
from wconv.experiment.reports.density_maps import draw_densities, shape
from wconv.experiment.reports.histories import read_history
from wconv.experiment.runs import arm_styles
from wconv.experiment.runs.arm_styles import LineStyle
from wconv.experiment.runs.saved_runs import SavedRun, Taps

MANY_TIMES = 20  # the loss axis is logarithmic if the largest loss is this many times the smallest
MARKED = 8  # markers on a line
# The validation curve of a diverged run, with a cross at its last value.
DIVERGED: dict[str, Any] = {"linewidth": 1.2, "linestyle": ":", "marker": "x", "markersize": 9, "markeredgewidth": 2}


@dataclass(frozen=True)
class Curve:
    """The runs that one line represents.

    Attributes:
        panel: title of its panels.
        label: its name in the legend.
        style: colour and marker.
        runs: the epochs of each run that is averaged.
        diverged: the epochs of each diverged run, which gets its own line.
    """

    panel: str
    label: str
    style: LineStyle
    runs: Sequence[pd.DataFrame]
    diverged: Sequence[pd.DataFrame] = ()


def draw_run(run: SavedRun, path: Path) -> None:
    """Plot a single run into a PNG.

    Args:
        run: with folder, seed, metrics, densities, and the features model, conv and init.
        path: the file; its folder is made.

    Raises:
        ValueError: the run has no epochs.
        OSError: the file cannot be written.
    """
    conv = run.features["conv"]
    style = arm_styles.variant(arm_styles.colours([conv])[conv], 0)
    heading = ", ".join([*(escape_mathtext(run.features[key]) for key in ("model", "init")), f"seed {run.seed}"])
    history = [read_history(run)]
    runs, diverged = ([], history) if not_finite(run.metrics) else (history, [])
    _draw([Curve("", escape_mathtext(conv), style, runs, diverged)], run.densities, heading, False, path)


def draw_comparison(comparison: Comparison, path: Path) -> None:
    """Plot the runs of a comparison into a PNG.

    A line is the mean over the runs of a group that have not diverged, with a band from the lowest to the highest, at
    the epochs for which all of them have a value. Each diverged run gets its own thin dotted line.

    Args:
        comparison: with the groups.
        path: the file; its folder is made.

    Raises:
        ValueError: a run has no epochs.
        OSError: the file cannot be written.
    """
    groups = comparison.groups
    panels, names = labels(comparison)
    curves = [
        Curve(panel, name, style, list(map(read_history, g.counted.values())), _histories_of_diverged(g))
        for panel, name, style, g in zip(panels, names, _styles(comparison, names), groups, strict=True)
    ]
    densities = list(dict.fromkeys(found for g in groups for run in g.runs.values() for found in run.densities))
    same_loss = len({group.features.get("task.loss") for group in groups}) == 1  # different losses have different units
    _draw(curves, densities, title(comparison), same_loss, path)


def _histories_of_diverged(group: Group) -> list[pd.DataFrame]:
    """Read the epochs of diverged runs; those that diverged in the first epoch have none."""
    return [read_history(run) for run in group.diverged.values() if (run.folder / "metrics.csv").exists()]


def _styles(comparison: Comparison, names: Sequence[str]) -> list[LineStyle]:
    """Return the style of each group: the colour of its arm, with a different tone for each variant."""
    arms = [group.features["conv"] for group in comparison.groups]
    colours = arm_styles.colours(arms)
    variants = {arm: list(dict.fromkeys(n for n, a in zip(names, arms, strict=True) if a == arm)) for arm in arms}
    return [arm_styles.variant(colours[a], variants[a].index(n)) for n, a in zip(names, arms, strict=True)]


def _draw(
    curves: Sequence[Curve], densities: Sequence[tuple[str, Taps]], heading: str, same_loss: bool, path: Path
) -> None:
    titles = list(dict.fromkeys(curve.panel for curve in curves))
    several = len(titles) > 1  # several: a column per backbone, loss below; one: loss on the right
    rows, columns = (2, len(titles)) if several else (1, 2)
    map_rows, map_columns = shape(densities)
    widths = [3.7 * columns, 2.8 * map_columns]
    height = max(2.9 * rows, 2.6 * map_rows) + 1.4
    figure = Figure(figsize=(sum(widths), height), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    grid = figure.add_gridspec(1, 2, width_ratios=widths)
    axes = grid[0].subgridspec(rows, columns).subplots(squeeze=False)
    if several:
        _share(axes[0])
        if same_loss:
            _share(axes[1])
    quality, loss = _quality(curves), METRICS["loss"]
    for column, name in enumerate(titles):
        above, below = axes[:, column] if several else axes[0]
        for curve in curves:
            if curve.panel == name:
                _lines(above, curve, quality, METRICS[quality])
                _lines(below, curve, "loss", loss)
        _choose_scale(below)
        above.set_title(fill(name, 44), fontsize="medium")
        for panel, text in ((above, METRICS[quality].axis), (below, loss.axis)):
            panel.set_ylabel(text if column == 0 else "")
            panel.set_xlabel("epoch" if panel is below or not several else "")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
    draw_densities(figure, grid[1], densities)
    handles = _legend(curves)
    per_row = max(2, int(sum(widths) / (0.9 + 0.08 * max(len(str(handle.get_label())) for handle in handles))))
    figure.legend(handles=handles, loc="outside lower center", ncols=per_row, frameon=False)
    figure.suptitle(heading, fontsize="large")

    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, buffer.getvalue())


def _legend(curves: Sequence[Curve]) -> list[Line2D]:
    styles = {curve.label: curve.style for curve in curves}
    handles = [
        Line2D([], [], color=style.colour, marker=style.marker, linewidth=2.5, markersize=7, label=label)
        for label, style in styles.items()
    ]
    handles.append(Line2D([], [], color="0.3", linewidth=1.8, label="validation"))
    handles.append(Line2D([], [], color="0.3", linewidth=0.9, linestyle="--", label="training"))
    if any(curve.diverged for curve in curves):
        handles.append(Line2D([], [], color="0.3", **DIVERGED, label="diverged run"))
    return handles


def _quality(curves: Sequence[Curve]) -> str:
    """Return the metric that is plotted next to the loss."""
    frames = [frame for curve in curves for frame in (*curve.runs, *curve.diverged)]
    return next((name for name in PRIMARY if any(f"val/{name}" in frame for frame in frames)), PRIMARY[0])


def _share(row: Sequence[Axes]) -> None:
    """Give the panels of a row a common scale."""
    for panel in row[1:]:
        panel.sharey(row[0])
        panel.tick_params(labelleft=False)


def _lines(axes: Axes, curve: Curve, name: str, metric: Metric) -> None:
    colour, marker = curve.style.colour, curve.style.marker
    for split, width, dashes in (("train", 0.9, "--"), ("val", 1.8, "-")):
        runs = [frame[f"{split}/{name}"] for frame in curve.runs if f"{split}/{name}" in frame]
        if len(runs) < max(1, len(curve.runs)):
            continue
        seeds = metric.factor * pd.concat(runs, axis=1).dropna()
        axes.plot(
            seeds.index,
            seeds.mean(axis=1),
            color=colour,
            linewidth=width,
            linestyle=dashes,
            marker=marker or ("o" if len(seeds) == 1 else ""),
            markevery=max(1, len(seeds) // MARKED),
            markersize=5,
            markerfacecolor=colour if split == "val" else "none",
        )
        if split == "val" and len(runs) > 1:
            axes.fill_between(seeds.index, seeds.min(axis=1), seeds.max(axis=1), color=colour, alpha=0.2, linewidth=0)
    for frame in curve.diverged:
        if f"val/{name}" in frame and len(values := metric.factor * frame[f"val/{name}"].dropna()):
            axes.plot(values.index, values, color=colour, markevery=[-1], zorder=3, **DIVERGED)


def _choose_scale(losses: Axes) -> None:
    """Give losses of several orders of magnitude a logarithmic axis."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in losses.lines] or [np.ones(1)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > MANY_TIMES * values.min():
        losses.set_yscale("log")
