"""Compare the cost of two things in alternating pairs within one run: python scripts/benchmark.py operator."""

import argparse
import importlib
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import wconv.experiment.benchmarks
from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import configuration_errors
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.common.text import escape_control_characters

BENCHMARKS = {
    "operator": "a training step with weighted against standard convolutions",
    "loader": "data loading against torchvision with a DataLoader",
    "step": "a training step in train.py against a bare loop",
    "epoch": "an epoch of train.py against a typical training script",
    "cost": "the cost of networks, arms and settings",
    "growth": "time and memory against images, resolution, width, kernel size and ranks",
    "evaluation": "evaluate.py against that of another checkout",
    "startup": "start-up time of commands against that of the imports they need",
    "memory": "what the memory of a run is used for",
}


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run a benchmark, print and write its table; return 0, 1 if a ratio has changed, 2 if an argument is wrong."""
    words = sys.argv[1:] if arguments is None else arguments
    folder = Path(wconv.experiment.benchmarks.__path__[0])
    offered = {name: text for name, text in BENCHMARKS.items() if (folder / f"{name}.py").exists()}
    parser = argparse.ArgumentParser(description=__doc__)
    choices = parser.add_subparsers(dest="name", required=True, metavar="BENCHMARK")
    parsers = {name: choices.add_parser(name, help=text, description=text) for name, text in offered.items()}
    name = next((word for word in words if word in offered), None)
    if name is None:  # help, or an unknown name
        parser.parse_args(words)
        return 0
    benchmark = importlib.import_module(f"wconv.experiment.benchmarks.{name}")
    chosen = parsers[name]
    benchmark.add_arguments(chosen)
    chosen.add_argument("--threads", type=positive, default=1, help="of PyTorch (%(default)s)")
    chosen.add_argument("-o", "--out", type=Path, metavar="DIR", help=f"write {name}.md and {name}.csv there")
    chosen.add_argument(
        "--against", type=Path, metavar="FILE", help="an earlier CSV file; exit with 1 if a ratio has changed since"
    )
    options = parser.parse_args(words)
    try:
        with configuration_errors():
            changes = run(benchmark.measure, options, f"python scripts/benchmark.py {shlex.join(words)}")
    except ConfigError as error:
        print(f"benchmark: {escape_control_characters(error)}", file=sys.stderr)
        return error.exit_code
    for change in changes:
        print(f"benchmark: {change}", file=sys.stderr)
    return 1 if changes else 0


def run(
    measure: Callable[[argparse.Namespace], list[dict[str, Any]]], options: argparse.Namespace, command: str
) -> list[str]:
    """Measure, print the table, and write both files if a folder is given; return the ratios that have changed."""
    import torch

    from wconv.experiment.benchmarks.machine import describe_machine
    from wconv.experiment.benchmarks.regression import moved
    from wconv.experiment.benchmarks.tables import to_csv, to_markdown

    torch.set_num_threads(options.threads)
    if options.out:  # fail before measuring, which takes minutes
        options.out.mkdir(parents=True, exist_ok=True)
    rows = measure(options)
    facts = {"made by": f"`{command}`"} | describe_machine()
    print(to_markdown(rows, facts), end="")
    if options.out:
        write_atomically(options.out / f"{options.name}.md", to_markdown(rows, facts).encode())
        write_atomically(options.out / f"{options.name}.csv", to_csv(rows, facts).encode())
    return list(moved(rows, options.against)) if options.against else []


if __name__ == "__main__":
    sys.exit(main())
