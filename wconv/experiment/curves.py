"""The picture of one or more runs: accuracy or PSNR and loss over the epochs, and the densities."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from wconv.density import density_function
from wconv.experiment.compare import Group, as_typed, differing, group_runs
from wconv.experiment.files import write_whole
from wconv.experiment.saved import SavedRun, Taps, density_text
from wconv.experiment.text import in_picture

# Okabe & Ito's colours, told apart with any colour vision: cold ones for standard, warm ones for weighted arms.
COLOURS = {
    "standard": ("#0072B2", "#56B4E9", "#000000"),
    "weighted": ("#D55E00", "#E69F00", "#CC79A7"),
    "other": ("#009E73", "#999999"),
}
MANY = 4  # with more groups than this, each variant of a backbone gets panels of its own
MAX_DENSITIES = 4
MANY_TIMES = 20  # the smallest loss: then its axis is logarithmic
# Metric: axis label and factor; the first one that the runs have is drawn beside the loss.
QUALITY = {"acc": ("accuracy (%)", 100.0), "psnr": ("PSNR (dB)", 1.0)}


def draw(runs: Sequence[SavedRun], path: Path) -> None:
    """Draw the completed runs among some into a PNG.

    A line is the mean over the seeds of a group, with a band from the lowest to the highest.

    Args:
        runs: what `find_runs` or `read_run` returned.
        path: the picture; its folder is made.

    Raises:
        ValueError: there is no completed run, or one without epochs.
        OSError: the picture cannot be written.
    """
    groups = group_runs(runs)
    histories = [pd.concat([_history(run) for run in group.runs.values()]) for group in groups]
    backbones, arms = _labels(groups)
    titles = list(dict.fromkeys(backbones))
    colours = _colours({arm: group.features["conv"] for arm, group in zip(arms, groups, strict=True)})
    densities = list(dict.fromkeys(found for g in groups for run in g.runs.values() for found in run.densities))

    several = len(titles) > 1  # a column a backbone, with the loss below; one backbone: the loss beside
    rows, columns = (2, len(titles)) if several else (1, 2)
    maps = densities[:MAX_DENSITIES]
    map_rows, map_columns = (2, (len(maps) + 1) // 2) if len(maps) > 1 else (1, 1)
    widths = [3.7 * columns, 2.8 * map_columns]
    height = max(2.9 * rows, 2.6 * map_rows) + 1.4
    figure = Figure(figsize=(sum(widths), height), dpi=150)
    figure.set_layout_engine("constrained", w_pad=0.08, h_pad=0.06)
    grid = figure.add_gridspec(1, 2, width_ratios=widths)
    axes = grid[0].subgridspec(rows, columns).subplots(squeeze=False)
    if several:
        _share(axes[0])
        if len({group.features.get("task.loss") for group in groups}) == 1:  # others are of other units
            _share(axes[1])
    quality = next((name for name in QUALITY if any(f"val/{name}" in frame for frame in histories)), "acc")
    label, factor = QUALITY[quality]
    for column, title in enumerate(titles):
        above, below = axes[:, column] if several else axes[0]
        for frame, backbone, arm in zip(histories, backbones, arms, strict=True):
            if backbone == title:
                _lines(above, frame, quality, factor, colours[arm])
                _lines(below, frame, "loss", 1.0, colours[arm])
        _choose_scale(below)
        above.set_title(fill(title, 44), fontsize="medium")
        for panel, text in ((above, label), (below, "loss")):
            panel.set_ylabel(text if column == 0 else "")
            panel.set_xlabel("epoch" if panel is below or not several else "")
            panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            panel.grid(alpha=0.25)
            panel.spines[["top", "right"]].set_visible(False)
    _draw_densities(figure, grid[1], (map_rows, map_columns), maps, len(densities) - len(maps))
    styles = [
        Line2D([], [], color="0.3", linewidth=1.8, label="validation"),
        Line2D([], [], color="0.3", linewidth=0.9, linestyle="--", label="training"),
    ]
    handles = [Line2D([], [], color=colour, linewidth=3, label=name) for name, colour in colours.items()]
    per_row = max(2, int(sum(widths) / (0.9 + 0.08 * max(map(len, colours)))))
    figure.legend(handles=handles + styles, loc="outside lower center", ncols=per_row, frameon=False)
    figure.suptitle(_title(groups), fontsize="large")

    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, buffer.getvalue())


def _share(row: Sequence[Axes]) -> None:
    """Give the panels of a row one scale."""
    for panel in row[1:]:
        panel.sharey(row[0])
        panel.tick_params(labelleft=False)


def _history(run: SavedRun) -> pd.DataFrame:
    """Read the epochs of a run, counted from 1."""
    file = run.folder / "metrics.csv"
    try:
        frame: pd.DataFrame = pd.read_csv(file).apply(pd.to_numeric)
        frame["epoch"] += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no epochs to draw ({error}); leave the run out") from error
    return frame.replace([np.inf, -np.inf], np.nan)


def _labels(groups: Sequence[Group]) -> tuple[list[str], list[str]]:
    """Name for each group the panels it is drawn in and, within these, its arm."""
    headings = differing(groups)
    backbone = [key for key in headings if key.partition(".")[0] in ("model", "datamodule", "task")]
    several_models = len({group.features["model"] for group in groups}) > 1
    backbone = ["model"] * several_models + backbone
    rest = [key for key in headings if key not in backbone]
    if len(groups) <= MANY and not several_models:
        backbone, rest = [], backbone + rest
    panels = {tuple(group.features.get(key) for key in backbone) for group in groups}

    def varies(key: str) -> bool:
        """Whether a key tells arms within some panel apart; otherwise it describes the panel."""
        kinds = {tuple(group.features.get(name) for name in (*backbone, key)) for group in groups}
        return len(kinds) > len(panels)

    arm = ["conv"] + [key for key in ("init", "density") if _tells_apart(key, groups)]
    arm += [key for key in rest if varies(key)]
    backbone += [key for key in rest if not varies(key)]

    def text(group: Group, keys: Sequence[str]) -> str:
        values = {key: as_typed(group.features[key]) for key in keys if group.features.get(key, "-") != "-"}
        return ", ".join(f"{headings[key]} {value}" if key in headings else value for key, value in values.items())

    return [in_picture(text(group, backbone)) for group in groups], [in_picture(text(group, arm)) for group in groups]


def _tells_apart(key: str, groups: Sequence[Group]) -> bool:
    """Whether groups of the same convolution differ in something."""
    kinds = {(group.features["conv"], group.features[key]) for group in groups}
    if key == "density":
        return len(kinds) > len({conv for conv, _ in kinds})
    return len({value for _, value in kinds}) > 1


def _colours(convolutions: Mapping[str, str]) -> dict[str, str]:
    """Give each arm a colour that goes with its convolution."""
    pools = {name: iter(colours) for name, colours in COLOURS.items()}
    try:
        return {arm: next(pools.get(conv, pools["other"])) for arm, conv in convolutions.items()}
    except StopIteration:  # too many for colours with names: an even scale
        scale = matplotlib.colormaps["viridis"](np.linspace(0, 0.9, len(convolutions)))
        return {arm: to_hex(colour) for arm, colour in zip(convolutions, scale, strict=True)}


def _lines(axes: Axes, frame: pd.DataFrame, name: str, factor: float, colour: str) -> None:
    thin: dict[str, Any] = {"linewidth": 0.9, "linestyle": "--", "markerfacecolor": "none"}
    for split, style in (("train", thin), ("val", {"linewidth": 1.8})):
        if f"{split}/{name}" not in frame:
            continue
        by_epoch = frame.dropna(subset=[f"{split}/{name}"]).groupby("epoch")[f"{split}/{name}"]
        seeds = by_epoch.agg(["mean", "min", "max"]) * factor
        marker = "o" if len(seeds) == 1 else ""
        axes.plot(seeds.index, seeds["mean"], color=colour, marker=marker, **style)
        if split == "val" and by_epoch.size().max() > 1:
            axes.fill_between(seeds.index, seeds["min"], seeds["max"], color=colour, alpha=0.2, linewidth=0)


def _choose_scale(losses: Axes) -> None:
    """Give losses of several orders of magnitude a logarithmic axis."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in losses.lines] or [np.ones(1)])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > MANY_TIMES * values.min():
        losses.set_yscale("log")


def _draw_densities(
    figure: Figure, spec: SubplotSpec, shape: tuple[int, int], densities: Sequence[tuple[str, Taps]], more: int
) -> None:
    axes = spec.subgridspec(*shape).subplots(squeeze=False).ravel()
    for panel in axes:
        panel.axis("off")
    if not densities:
        axes[0].text(0.5, 0.5, "density Φ\nall taps 1\n(standard)", ha="center", va="center", color="0.35")
    for panel, density in zip(axes, densities, strict=False):
        phi = density_function(density[1]).numpy()
        phi = phi.reshape(-1, phi.shape[-1])
        image = panel.imshow(phi, cmap="cividis", vmin=min(0.0, phi.min()), vmax=max(1.0, phi.max()))
        panel.set_title(f"density Φ, {density_text(density)}", fontsize="small")
        for (row, column), value in np.ndenumerate(phi):
            dark = image.norm(value) < 0.55
            size = min(10.0, 40 / len(phi))
            style = {"color": "white" if dark else "black", "fontsize": size, "ha": "center", "va": "center"}
            panel.text(column, row, f"{value:.3g}", **style)
    if more:
        figure.text(0.99, 0.01, f"and {more} more densities", ha="right", va="bottom", fontsize="small")


def _title(groups: Sequence[Group]) -> str:
    """Say what all have in common."""
    common = [{group.features[key] for group in groups} for key in ("model", "init")]
    facts = [in_picture(values.pop()) for values in common if len(values) == 1]
    seeds = {tuple(sorted(group.runs)) for group in groups}
    if len(seeds) > 1:
        return ", ".join([*facts, f"{min(map(len, seeds))} to {max(map(len, seeds))} seeds"])
    some = seeds.pop()
    return ", ".join([*facts, f"seed{'s' * (len(some) > 1)} {', '.join(map(str, some))}"])
