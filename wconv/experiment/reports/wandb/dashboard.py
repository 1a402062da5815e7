"""Build the W&B workspace of a comparison: runs grouped by model and convolution, averaged over seeds."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.common.metrics import PRIMARY, TASKS, best_mode, title
from wconv.experiment.runs import arm_styles

# Test sets of the project; a folder of images is a test set with the name of the folder.
SETS = ("DIV2K_valid_HR", "dead_leaves", "bsd68", "set12")
# Keys that define a group of runs, which is averaged over seeds. Runs with different initialisations are not averaged.
BY = ("model.name", "conv.name", "init.name")
COLUMNS = 3  # panels side by side
TESTED = tuple(f"test/{name}" for name in (*PRIMARY, "ssim"))
MONITORED = tuple(task.monitor for task in TASKS.values())


def dashboard(
    entity: str,
    project: str,
    name: str,
    sweep: str | None = None,
    sets: Sequence[str] = SETS,
    by: Sequence[str] = BY,
) -> ws.Workspace:
    """Build the workspace; no network is needed.

    Args:
        entity: team or user to save it for.
        project: with the runs to show.
        name: of the workspace.
        sweep: show only the runs of this sweep.
        sets: test sets whose images are shown.
        by: keys of the configuration that define a group.
    """
    return ws.Workspace(
        entity=entity,
        project=project,
        name=name,
        sections=[
            _section("Result by model and convolution", _results()),
            _section("Curves: mean over the seeds, and standard deviation", _curves()),
            _section("Densities", _densities()),
            _section("Cost", _cost()),
            _section("Denoised images", _images(sets)),
        ],
        settings=ws.WorkspaceSettings(x_axis="epoch", max_runs=50),
        runset_settings=ws.RunsetSettings(
            groupby=[ws.Config(key) for key in by],
            filters=ws.And(ws.Metric("Group") == sweep) if sweep else [],
            group_colors=group_colours(by),
            pinned_columns=[*(f"summary:{name}" for name in (*TESTED, "diverged")), "config:seed"],
        ),
    )


def group_colours(by: Sequence[str]) -> dict[object, object]:
    """Return the colour of each group of runs, the same as that of its arm in every figure.

    W&B identifies a group by the values of all its keys. The values of a `GROUP.name` are the files in `configs/GROUP`,
    and for `conv.name` also the combinations of conv=ablation; groups with any other key keep W&B's own colours.

    Args:
        by: keys of the configuration that define a group.
    """
    values: list[list[str]] = []
    colours: dict[object, object] = {}
    for key in by:
        folder = CONFIGS / key.removesuffix(".name")
        if not key.endswith(".name") or not folder.is_dir():
            break
        names = {path.stem for path in folder.glob("*.yaml")}
        values.append(sorted(names.union(arm.name for arm in arm_styles.ARMS) if key == "conv.name" else names))
        if "conv.name" in by[: len(values)]:
            arms = arm_styles.colours(values[by.index("conv.name")])
            colours |= {ws.GroupPath(*path): arms[path[by.index("conv.name")]] for path in product(*values)}
    return colours


def _section(name: str, panels: list[Any]) -> ws.Section:
    return ws.Section(
        name=name,
        panels=panels,
        is_open=True,
        layout_settings=ws.SectionLayoutSettings(columns=COLUMNS, rows=-(-len(panels) // COLUMNS)),
    )


def _results() -> list[Any]:
    tested = [_bars(title(name), name) for name in TESTED]
    best = [_bars(f"best {title(name)}", _best(name)) for name in MONITORED]
    number = wr.BarPlot(title="runs that diverged", metrics=[wr.SummaryMetric("diverged")], groupby_aggfunc="sum")
    return [*tested, *best, number]


def _curves() -> list[Any]:
    shown = (*MONITORED, "val/loss", "train/loss")
    return [_lines(title(name), [name]) for name in shown] + [_lines("learning rate", ["lr"])]


def _densities() -> list[Any]:
    """The coefficients of all layers; the outermost has index 0."""
    return [
        wr.LinePlot(title=f"trained coefficient {number} by layer", x="epoch", metric_regex=f"density/.*/{number}")
        for number in range(3)
    ] + [_lines("learning rate of the densities", ["lr/density"])]


def _cost() -> list[Any]:
    return [
        _bars("seconds an epoch", "time/seconds"),
        _bars("training images per second", "time/images_per_second"),
        _bars("peak memory (MiB)", "time/peak_memory_mb"),
        *(_against("time/seconds", _best(name)) for name in MONITORED),
    ]


def _images(sets: Sequence[str]) -> list[Any]:
    images = [
        wr.MediaBrowser(title=f"{name}: clean, noisy, denoised, difference", media_keys=[f"test/{name}"], num_columns=1)
        for name in sets
    ]
    return [*images, wr.WeavePanelSummaryTable(table_name="test/images")]


def _best(name: str) -> str:
    """Return W&B's key for the best value of a curve."""
    return f"{name}.{best_mode(name)}"


def _bars(heading: str, name: str) -> wr.BarPlot:
    return wr.BarPlot(
        title=heading, metrics=[wr.SummaryMetric(name)], groupby_aggfunc="mean", groupby_rangefunc="stddev"
    )


def _lines(heading: str, names: list[Any]) -> wr.LinePlot:
    return wr.LinePlot(title=heading, x="epoch", y=names, groupby_aggfunc="mean", groupby_rangefunc="stddev")


def _against(x: str, y: str) -> wr.ScatterPlot:
    return wr.ScatterPlot(title=f"{y} against {x}", x=wr.SummaryMetric(x), y=wr.SummaryMetric(y))
