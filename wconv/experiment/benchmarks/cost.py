"""The cost table: time and memory of train.py for each network, arm and setting on this machine."""

import argparse
import itertools
import sys
import time
from collections.abc import Callable

import torch

from wconv.experiment.benchmarks.pairs import Work, timer_of
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.benchmarks.timed_run import BACKBONES, drawn_data, timed_command
from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.exceptions import RunError
from wconv.experiment.common.text import one_line

SETTINGS: dict[str, tuple[str, ...]] = {
    "conv": ("standard", "weighted"),
    "trainer.precision": ("32-true", "bf16-mixed"),
    "channels_last": ("false", "true"),
    "compile": ("false", "true"),
}
EPOCH = {"classification": 45_000, "denoising": 16_000}  # CIFAR-100 without held-out images; default patches
PASSES = 3  # forward, gradient of the input, gradient of the weights: equal multiply-accumulates
MATRIX = 2048
HEADINGS = {"trainer.precision": "precision"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--steps", type=positive, default=50, help="batches an epoch is estimated from (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the networks are (%(default)s)")
    parser.add_argument("--models", nargs="+", choices=list(BACKBONES), default=list(BACKBONES), metavar="MODEL")
    parser.add_argument("--uncompiled", action="store_true", help="leave out compile=true, which takes a minute a row")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure every combination that people use, each in its own process.

    Returns:
        One row each: seconds per epoch, images per second, seconds before the first full epoch, peak memory of the
        process or the GPU, multiply-accumulates per image, and the fraction of the machine's matrix-product rate in the
        same precision. A combination that failed has the reason instead.
    """
    timer = timer_of(arguments.device)
    types = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16}
    rates = {precision: _matrix_rate(arguments.device, kind, timer) for precision, kind in types.items()}
    choices = {**SETTINGS, "compile": ("false",)} if arguments.uncompiled else SETTINGS
    rows = []
    for model, values in itertools.product(arguments.models, itertools.product(*choices.values())):
        chosen = dict(zip(choices, values, strict=True))
        if (chosen["channels_last"], chosen["compile"]) == ("false", "true"):
            continue  # a minute a row, for a setting that nobody has unless they ask for it
        words = [*BACKBONES[model], *(f"{key}={value}" for key, value in chosen.items())]
        words += drawn_data(words, arguments.steps)
        print(f"{time.strftime('%H:%M')} {model} {' '.join(chosen.values())}", file=sys.stderr, flush=True)
        row: Row = {"model": model} | {HEADINGS.get(key, key): value for key, value in chosen.items()}
        try:
            found = timed_command(words, arguments.steps, 2, arguments.device)
            rows.append(row | _costs(model, found, rates[chosen["trainer.precision"]]))
        except RunError as error:  # the run failed, or was killed for using too much memory
            rows.append(row | {"failed": one_line(error)[:120]})
    return rows


def _costs(model: str, found: Row, rate: float) -> Row:
    denoises = any(word in ("model=dncnn", "model=nafnet") for word in BACKBONES[model])
    side = next((int(word.partition("=")[2]) for word in BACKBONES[model] if "patch_size=" in word), 40)
    # The macs of a denoiser are for 256x256 pixels, but it is trained on patches.
    macs = found["macs"] * (side / 256) ** 2 if denoises else found["macs"]
    return {
        "s/epoch": EPOCH["denoising" if denoises else "classification"] / found["images/s"],
        "images/s": found["images/s"],
        "s at the start": max(found["first seconds"] - found["seconds"], 0.0),
        "peak MB": found["peak MB"],
        "million MACs": macs / 1e6,
        "share of the matrix rate": PASSES * macs * found["images/s"] / rate,
    }


def _matrix_rate(device: str, kind: torch.dtype, timer: Callable[[Work], float]) -> float:
    """Return the multiply-accumulates per second of the product of two large matrices."""
    one, other = (torch.randn(MATRIX, MATRIX, device=device).to(kind) for _ in range(2))
    one @ other
    return MATRIX**3 / min(timer(lambda: one @ other) for _ in range(5))
