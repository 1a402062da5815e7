"""Common options of compare.py and report.py: the runs, the reference and the margin.

Slow imports are inside functions, so that --help does not wait half a second for pandas.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import Effects
    from wconv.experiment.runs.saved_runs import SavedRun


def add_options(parser: ArgumentParser) -> None:
    """Add the folders of the runs, and the options of a comparison."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder, or a folder of runs")
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="use only runs with this value, such as trainer.max_epochs=15; repeat for further conditions, "
        "or with the same key for further values",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the reference row, paired by seed (default: conv=standard); repeat for further conditions",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="the smallest difference that matters (default: 0.5 points of accuracy, 0.05 dB of PSNR)",
    )
    parser.add_argument(
        "--by", default="", metavar="KEY", help="a key in which compared rows may differ, such as density"
    )
    parser.add_argument(
        "--best-of",
        default="",
        metavar="KEY",
        help="of rows that differ only in this key, such as optimizer.lr, use the best on the validation set",
    )


def chosen_runs(options: Namespace) -> list["SavedRun"]:
    """Read the runs that the options name.

    Raises:
        ValueError: there is none, or none that meets `--where`.
    """
    from wconv.experiment.reports.selection import select
    from wconv.experiment.runs.saved_runs import find_runs

    return select(find_runs(options.runs), options.where)


def compare(
    runs: Iterable["SavedRun"], options: Namespace, single_runs: bool = False
) -> tuple["Comparison", "Effects | None"]:
    """Compare runs according to the options.

    Args:
        runs: of one task.
        options: of `add_options`.
        single_runs: compare single runs even if no option requests it.

    Raises:
        ValueError: there is no completed run, or an option names something unknown.
    """
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import find_effects

    comparison = Comparison(runs, options.best_of)
    metric = getattr(options, "metric", "")  # the page, with several tasks, has no such option
    return comparison, find_effects(comparison, options.against, options.by, options.margin, single_runs, metric)


def by_task(runs: Iterable["SavedRun"]) -> list[list["SavedRun"]]:
    """Group the runs by task, for tasks with completed or diverged runs; the rest go with the first task."""
    found: dict[str, list[SavedRun]] = {}
    others = []
    for run in runs:
        if run.status == "completed" or run.has_diverged:
            found.setdefault(str(run.features.get("task")), []).append(run)
        else:
            others.append(run)
    first, *rest = [found[task] for task in sorted(found)] or [[]]
    return [[*first, *others], *rest]
