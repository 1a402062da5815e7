"""Measure what the operator costs, in pairs within one run: `python scripts/benchmark.py operator`."""

import argparse
import platform
import sys
from pathlib import Path

import torch

from models.dncnn import DnCNN
from models.resnet import ResNet
from models.vgg import VGG
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.output import tolerate_closed_output
from wconv.experiment.tasks.operator_benchmark import Case, run_benchmark

CASES = [
    Case("VGG-16", lambda: VGG(100), (64, 3, 32, 32)),
    Case("ResNet-18", lambda: ResNet(100), (64, 3, 32, 32)),
    Case("DnCNN", DnCNN, (16, 1, 40, 40)),
]


@tolerate_closed_output()
def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark, print its table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["operator"])
    parser.add_argument("--pairs", type=int, default=20, help="rounds of the timings (default: 20)")
    parser.add_argument("--threads", type=int, default=2, help="of PyTorch (default: 2)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table")
    options = parser.parse_args(arguments)
    if options.pairs < 1 or options.threads < 1:
        parser.error("--pairs and --threads take whole numbers from 1")
    torch.set_num_threads(options.threads)
    table = run_benchmark(CASES, options.pairs, lambda text: print(text, file=sys.stderr, flush=True))
    facts = f"torch {torch.__version__}, {platform.machine()}, {options.threads} threads, {options.pairs} pairs"
    text = f"{table.to_markdown(index=False)}\n\nMedian of the ratios of pairs (quartiles); {facts}.\n"
    print(text)
    if options.markdown:
        options.markdown.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.markdown, text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
