"""Make an HTML page about runs, to open in a browser: python scripts/report.py runs -o report.html."""

import argparse
import shlex
import sys
from pathlib import Path

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters
from wconv.experiment.reports.options import add_options, by_task, chosen_runs, compare


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the page (HTML)")
    options = parser.parse_args(words)
    # Imported here, so that --help does not wait a second for it.
    from wconv.experiment.reports.page.page import render_page
    from wconv.experiment.runs.search_history import find_searches

    try:
        compared = [compare(runs, options, single_runs=True) for runs in by_task(chosen_runs(options))]
        command = shlex.join(["python", "scripts/report.py", *words])
        page = render_page(compared, command, find_searches(options.runs))
        write(options.output, page)
    except ValueError as error:
        print(f"report: {escape_control_characters(error)}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


def write(path: Path, page: str) -> None:
    """Write the page and make its folder.

    Raises:
        ValueError: it cannot be written; the message says why.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page.encode(errors="backslashreplace"))
    except OSError as error:
        raise ValueError(f"{path} cannot be written ({error.strerror}); choose another place") from error


if __name__ == "__main__":
    sys.exit(main())
