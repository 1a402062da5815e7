"""Make one page of runs, to open in a browser: python scripts/report.py runs -o report.html."""

import argparse
import shlex
import sys
from pathlib import Path

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, or 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run folder, or a folder of runs")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the page (HTML)")
    words = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args(words)
    from wconv.experiment.reports.page.page import compare_tasks, render_page
    from wconv.experiment.runs.saved_runs import find_runs

    try:
        comparisons, left_out = compare_tasks(find_runs(options.runs))
        page = render_page(comparisons, left_out, shlex.join(["python", "scripts/report.py", *words]))
        try:
            options.output.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(options.output, page.encode())
        except OSError as error:
            raise ValueError(
                f"{options.output} cannot be written ({error.strerror}); choose another place"
            ) from error
    except ValueError as error:
        print(f"report: {escape_control_characters(error)}", file=sys.stderr)
        return 2
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
