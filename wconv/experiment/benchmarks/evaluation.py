"""Benchmark evaluate.py against that of another checkout, such as an older commit: time and PSNR."""

import argparse
from functools import partial
from pathlib import Path
from statistics import median

from wconv.experiment.benchmarks.pairs import ratio, seconds_in_turn
from wconv.experiment.benchmarks.run_python import run_python
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.checkout import ROOT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--before", type=Path, required=True, metavar="DIR", help="the other checkout")
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="FILE", help="weights of a denoiser")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="images, such as BSD68")
    parser.add_argument("--pairs", type=positive, default=5, help="rounds of the timings (%(default)s)")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Alternate evaluations in the other checkout, here, and here with --fast.

    Returns:
        One row each: median seconds, speed-up over the other checkout including start-up, and the PSNR.
    """
    words = ["scripts/evaluate.py", "--checkpoint", str(arguments.checkpoint.resolve()), "--sigma", "25"]
    words += ["--data", str(arguments.data.resolve())]
    ways = {"before": (words, arguments.before), "now": (words, ROOT), "now, --fast": ([*words, "--fast"], ROOT)}
    printed: dict[str, str] = {}

    def evaluate(way: str) -> None:
        chosen, checkout = ways[way]
        printed[way] = run_python(chosen, arguments.threads, checkout.resolve())

    works = {way: partial(evaluate, way) for way in ways}
    seconds = seconds_in_turn(works, arguments.pairs, warm_up=0)
    return [
        {
            "evaluate.py": way,
            "seconds": median(seconds[way]),
            "before / this": ratio(seconds["before"], seconds[way]),
            "PSNR (dB)": psnr_of(printed[way]),
        }
        for way in ways
    ]


def psnr_of(table: str) -> float:
    """Return the PSNR in the last row of a table of evaluate.py, by its heading."""
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("|")]
    headings = [heading.strip() for heading in rows[0]]
    return float(rows[-1][headings.index("PSNR (dB)")])
