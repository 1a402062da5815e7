"""Compose the output of compare.py: tables and sentences, or the selected part of them."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wconv.experiment.reports.options import add_options, compare

if TYPE_CHECKING:
    from wconv.experiment.reports.comparison import Comparison
    from wconv.experiment.reports.effects import Effects
    from wconv.experiment.runs.saved_runs import SavedRun


def add_answer_options(parser: ArgumentParser) -> None:
    """Add the options for what is compared and how much is printed."""
    add_options(parser)
    parser.add_argument(
        "--metric",
        default="",
        metavar="NAME",
        help="metric to compare, e.g. test/bsd68/psnr (default: test/acc or test/psnr)",
    )
    parser.add_argument(
        "--parts", action="store_true", help="average effects of start, step and decay, from their eight combinations"
    )
    parser.add_argument("--brief", action="store_true", help="print one short table and nothing else")
    parser.add_argument(
        "--row", action="append", default=[], metavar="NAME", help="print the sentence of this row and nothing else"
    )


def answer(options: Namespace, runs: Sequence["SavedRun"]) -> tuple[str, "Comparison", "Effects | None"]:
    """Compare runs according to the options.

    Args:
        options: of `add_answer_options`.
        runs: those that the options name.

    Returns:
        The text to print (Markdown), and the comparison, for figures and other tables.

    Raises:
        ValueError: an option names something unknown; the message lists what there is.
    """
    from wconv.experiment.reports.brief import brief, parts_table, sentences
    from wconv.experiment.reports.pairing import choose_reference
    from wconv.experiment.reports.parts import worth_of_parts
    from wconv.experiment.reports.tables import to_markdown, write_markdown

    tasks = sorted({str(run.features.get("task")) for run in runs if run.status == "completed"})
    if len(tasks) > 1:
        choices = " or ".join(f"--where task={task}" for task in tasks)
        raise ValueError(f"runs of {' and '.join(tasks)} have no table in common; add {choices}")
    comparison, effects = compare(runs, options)
    if not effects:
        for name in ("parts", "brief", "row"):
            if getattr(options, name):
                raise ValueError(f"--{name}: nothing is compared; that takes several seeds, or --against KEY=VALUE")
        if not choose_reference(comparison):
            why = "that takes completed runs of conv=standard and of another arm, or --against KEY=VALUE"
        elif comparison.has_repeated_runs:
            why = "no run has a test accuracy or a test PSNR"
        else:
            why = (
                "with one seed per row there are no statistics; train several seeds, or add --against conv=standard "
                "to see the differences alone"
            )
        return f"{to_markdown(comparison)}\n\nNothing is compared: {why}.", comparison, None
    parts = worth_of_parts(effects) if options.parts else []
    if options.row:
        return sentences(effects, options.row, parts), comparison, effects
    text = write_markdown(*brief(effects)) if options.brief else to_markdown(comparison, effects)
    return "\n\n".join([text, *([parts_table(parts, effects)] if parts else [])]), comparison, effects


def latex(options: Namespace, comparison: "Comparison", effects: "Effects | None") -> str:
    """Return the LaTeX tables: the short one, or the results followed by the differences."""
    from wconv.experiment.reports.brief import brief
    from wconv.experiment.reports.tables import differences, results, to_latex

    if options.brief and effects:
        return to_latex([brief(effects)])
    return to_latex([results(comparison), *([differences(effects)] if effects else [])])
