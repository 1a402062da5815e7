"""Compare runs: a table of means over seeds, one sentence per row, and curves.

python scripts/compare.py runs --against conv=standard --picture curves.png
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.reports.answer import add_answer_options, answer, latex
from wconv.experiment.reports.options import chosen_runs


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_answer_options(parser)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table as printed")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table with unrounded values")
    parser.add_argument(
        "--latex", type=Path, metavar="FILE", help="write tables for a paper (booktabs); with --brief the short one"
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw curves and densities (PNG)")
    parser.add_argument("--effects", type=Path, metavar="FILE", help="draw the differences and their intervals (PNG)")
    options = parser.parse_args(arguments)
    # Imported here, so that --help does not wait half a second for pandas.
    from wconv.experiment.reports.tables import to_csv

    try:
        text, comparison, effects = answer(options, chosen_runs(options))
        print(text)
        if options.markdown:
            write(options.markdown, lambda path: write_atomically(path, f"{text}\n".encode()))
        if options.csv:
            write(options.csv, lambda path: write_atomically(path, to_csv(comparison, effects).encode()))
        if options.latex:
            write(options.latex, lambda path: write_atomically(path, latex(options, comparison, effects).encode()))
        if options.picture:
            from wconv.experiment.reports.curves import draw_comparison

            write(options.picture, lambda path: draw_comparison(comparison, path))
        if options.effects:
            from wconv.experiment.reports.effect_plot import draw_effects

            if not effects:
                raise ValueError("--effects: nothing is compared; that takes several seeds, or --against KEY=VALUE")
            write(options.effects, lambda path: draw_effects(effects, path))
    except ValueError as error:
        print(f"compare: {escape_control_characters(error)}", file=sys.stderr)
        return 2
    return 0


def write(path: Path, how: Callable[[Path], None]) -> None:
    """Write a file and make its folder.

    Raises:
        ValueError: it cannot be written; the message says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        how(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be written ({error.strerror}); choose another place") from error


if __name__ == "__main__":
    sys.exit(main())
