"""Insert the output of commands into a page: python scripts/fill_page.py docs/findings.md.

A page names a command in a comment; its output goes between that comment and the next `<!-- end -->`:

<!-- python scripts/compare.py runs --brief --><!-- end -->
"""

import argparse
import re
import shlex
import sys
from contextlib import chdir
from functools import cache
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING

from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output

if TYPE_CHECKING:
    from wconv.experiment.runs.saved_runs import SavedRun

ROOT = Path(__file__).resolve().parent.parent
FILLED = re.compile(r"<!-- python (scripts/compare\.py [^\n]*?) -->(\n?).*?<!-- end -->", re.S)


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0; 1 if --check finds outdated text; 2 with one sentence on stderr."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE", help="a Markdown file")
    parser.add_argument("--check", action="store_true", help="change nothing; say which pages are out of date")
    options = parser.parse_args(arguments)
    exit_code = 0
    for page in options.pages:
        try:
            text = page.read_text()
            filled = fill(text)
            if filled != text and not options.check:
                write_atomically(page, filled.encode())
        except (OSError, ValueError) as error:
            print(f"fill_page: {page}: {error}", file=sys.stderr)
            return 2
        if filled != text:
            exit_code = int(options.check)
            print(f"{page}: {'not what its commands print now' if options.check else 'filled'}")
    return exit_code


def fill(text: str) -> str:
    """Return a page with the current output of its commands.

    Raises:
        ValueError: a command failed; the message has its error.
    """

    def put(match: re.Match[str]) -> str:
        said = run(match[1])
        return f"<!-- python {match[1]} -->" + (f"\n\n{said}\n\n" if match[2] else said) + "<!-- end -->"

    return FILLED.sub(put, text)


@cache  # pages share commands
def run(command: str) -> str:
    """Return what a command prints in the checkout; it runs in this process, since a page has many of them.

    Raises:
        ValueError: it failed; the message has its error.
    """
    from wconv.experiment.reports.answer import add_answer_options, answer
    from wconv.experiment.reports.selection import select

    # Patterns are expanded as a shell does.
    _, *words = [path for word in shlex.split(command) for path in sorted(glob(word, root_dir=ROOT)) or [word]]
    parser = argparse.ArgumentParser(prog="compare.py")
    add_answer_options(parser)
    try:
        with chdir(ROOT):
            options = parser.parse_args(words)
            return answer(options, select(read(tuple(options.runs)), options.where))[0].strip()
    except ValueError as error:
        raise ValueError(f"python {command}: {error}") from error


@cache  # nearly all commands of a page are about the same runs
def read(folders: tuple[Path, ...]) -> list["SavedRun"]:
    """Read the runs in and below some folders."""
    from wconv.experiment.runs.saved_runs import find_runs

    return find_runs(folders)


if __name__ == "__main__":
    sys.exit(main())
