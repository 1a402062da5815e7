"""What compare.py and report.py are told: which runs are compared with which, and by what margin."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.metrics import PRIMARY

if TYPE_CHECKING:
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import Effects
    from wconv.experiment.runs.saved_runs import SavedRun


def add_options(parser: ArgumentParser) -> None:
    """Add the folders of the runs, and the options of a comparison."""
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder, or a folder of runs")
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


def compare(
    runs: Iterable["SavedRun"], options: Namespace, always: bool = False
) -> tuple["Comparison", "Effects | None"]:
    """Compare runs as the options say.

    Args:
        runs: of one task.
        options: of `add_options`.
        always: compare with a reference although nobody has asked for it and no row has several seeds.

    Raises:
        ValueError: there is no completed run, or an option names what is not there.
    """
    # Here, because pandas takes half a second, for which --help shall not wait.
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import Effects
    from wconv.experiment.reports.pairing import choose_reference

    comparison = Comparison(runs, options.best_of)
    reference = choose_reference(comparison, options.against, options.by)
    if options.margin is not None and not reference:
        raise ValueError("--margin: no two rows are compared; name the row to compare with by --against KEY=VALUE")
    asked = options.against or options.by or options.margin is not None
    if always and not asked and not any(f"test/{name}" in comparison.measured for name in PRIMARY):
        return comparison, None
    effects = Effects(comparison, reference, options.margin) if reference else None
    if not (always or asked or comparison.has_repeated_runs):  # of single runs there are no statistics
        effects = None
    return comparison, effects


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
