"""What compare.py and report.py are told: which runs are compared with which, and by what margin.

What reads and compares is imported where it is needed: pandas takes half a second, for which --help shall not wait.
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
        help="use these runs and no others, such as trainer.max_epochs=15; again for a further condition",
    )
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the row that the others are compared with, by seed (conv=standard); again for a further condition",
    )
    parser.add_argument(
        "--margin",
        type=float,
        metavar="M",
        help="the smallest difference that matters (0.5 points of accuracy, 0.05 dB of PSNR)",
    )
    parser.add_argument(
        "--by", default="", metavar="KEY", help="a key in which compared rows may differ, such as density"
    )
    parser.add_argument(
        "--best-of",
        default="",
        metavar="KEY",
        help="of rows that differ in it alone, such as optimizer.lr, compare the best on the validation set",
    )


def chosen_runs(options: Namespace) -> list["SavedRun"]:
    """Read the runs that the options name.

    Raises:
        ValueError: there is none, or none that is as `--where` says.
    """
    from wconv.experiment.reports.selection import select
    from wconv.experiment.runs.saved_runs import find_runs

    return select(find_runs(options.runs), options.where)


def compare(
    runs: Iterable["SavedRun"], options: Namespace, single_runs: bool = False
) -> tuple["Comparison", "Effects | None"]:
    """Compare runs as the options say.

    Args:
        runs: of one task.
        options: of `add_options`.
        single_runs: compare them, too, where no option asks for it.

    Raises:
        ValueError: there is no completed run, or an option names what is not there.
    """
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import find_effects

    comparison = Comparison(runs, options.best_of)
    metric = getattr(options, "metric", "")  # a page of several tasks has no option for it
    return comparison, find_effects(comparison, options.against, options.by, options.margin, single_runs, metric)


def by_task(runs: Iterable["SavedRun"]) -> list[list["SavedRun"]]:
    """Return the runs of each task that has some which completed or diverged; the others go with the first of these."""
    found: dict[str, list[SavedRun]] = {}
    others = []
    for run in runs:
        if run.status == "completed" or run.has_diverged:
            found.setdefault(str(run.features.get("task")), []).append(run)
        else:
            others.append(run)
    first, *rest = [found[task] for task in sorted(found)] or [[]]
    return [[*first, *others], *rest]
