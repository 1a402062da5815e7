"""Benchmark the start-up time of commands against that of the imports they need."""

import argparse
import resource
import sys
import tempfile
from collections.abc import Sequence
from statistics import median

from wconv.experiment.benchmarks.pairs import ratio, seconds_in_turn
from wconv.experiment.benchmarks.run_python import run_python
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.checkout import ROOT

# Exits when the first batch is about to enter the network: Lightning passes the forward pass to the optimiser as a
# closure; a step without one is only a trial in the preflight checks.
TO_FIRST_BATCH = """
import os, sys
import train
from torch.optim.optimizer import register_optimizer_step_pre_hook
register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: os._exit(0) if "closure" in kwargs else None)
sys.exit(train.main() or "no batch was trained")
"""
RUN = ["datamodule=synthetic_classes", "model.width=0.25", "trainer.accelerator=cpu"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pairs", type=positive, default=5, help="rounds of the timings (%(default)s)")
    parser.add_argument(
        "--run", nargs="+", default=RUN, metavar="KEY=VALUE", help=f"of the training that is started ({' '.join(RUN)})"
    )


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure all commands.

    Returns:
        One row per command: the ratios of wall-clock time and of CPU time, which other work on the machine affects
        less, and the target ratio.
    """
    scripts = sorted(path.name for path in (ROOT / "scripts").glob("*.py"))
    helps = {f"scripts/{name} --help": [f"scripts/{name}", "--help"] for name in scripts}
    shown = {f"train.py {option}": ["train.py", *option.split()] for option in ("--help", "--cfg job")}
    tables = {
        f"scripts/compare.py {runs.relative_to(ROOT)}": ["scripts/compare.py", str(runs)]
        for runs in sorted((ROOT / "results").glob("*/runs"))
        if not (runs / "denoising").exists()  # it has runs of both tasks, and a table has one
    }
    rows = _beside("import hydra", shown | helps, 3.0, arguments.pairs, arguments.threads)
    rows += _beside("import pandas", tables, 1.5, arguments.pairs, arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        words = [*arguments.run, f"paths.output_dir={folder}", "force=true"]
        training = {f"train.py {' '.join(arguments.run)}, to its first batch": ["-c", TO_FIRST_BATCH, *words]}
        rows += _beside("import torch, pytorch_lightning", training, 1.5, arguments.pairs, arguments.threads)
    return rows


def _beside(imports: str, commands: dict[str, list[str]], target: float, pairs: int, threads: int) -> list[Row]:
    """Compare Python commands with importing some modules."""
    print(f"{len(commands)} commands beside {imports}", file=sys.stderr, flush=True)
    cpu: dict[str, list[float]] = {name: [] for name in (imports, *commands)}
    works = {
        name: lambda name=name, words=words: cpu[name].append(cpu_seconds_of(words, threads))
        for name, words in {imports: ["-c", imports], **commands}.items()
    }
    clock = seconds_in_turn(works, pairs)
    return [
        {
            "command": name,
            "beside": f'python -c "{imports}"',
            "ratio": ratio(clock[name], clock[imports]),
            "ratio of CPU seconds": ratio(cpu[name][-pairs:], cpu[imports][-pairs:]),  # without the warm-up
            "at most": target,
            "seconds": median(clock[name]),
        }
        for name in commands
    ]


def cpu_seconds_of(words: Sequence[str], threads: int) -> float:
    """Run Python in the checkout, and return the CPU time in seconds.

    Args:
        words: its arguments.
        threads: number of threads of PyTorch.

    Raises:
        RunError: it failed; the message is the last line of its standard error.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run_python(words, threads)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
