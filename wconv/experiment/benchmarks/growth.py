"""Benchmark how time and memory of a training step of a weighted DnCNN scale with sizes and processes."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.benchmarks.timed_run import drawn_data, timed_command
from wconv.experiment.common.argument_types import positive

BASE = {
    "model": "dncnn",
    "conv": "weighted",
    "model.depth": "7",
    "model.width": "32",
    "model.kernel_size": "3",
    "datamodule.patch_size": "40",
    "datamodule.batch_size": "16",
    "trainer.devices": "1",
}
# By key: label, values, and the exponent with which the arithmetic grows.
AXES: dict[str, tuple[str, tuple[int, ...], int]] = {
    "datamodule.batch_size": ("images of a batch", (8, 16, 32, 64), 1),
    "datamodule.patch_size": ("pixels of a side", (24, 40, 64, 90), 2),
    "model.width": ("features", (16, 32, 64, 128), 2),
    "model.kernel_size": ("taps of a side of the kernel", (3, 5, 7), 2),
    "trainer.devices": ("processes that share a batch", (1, 2), -1),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--steps", type=positive, default=40, help="batches of an epoch (%(default)s)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where the networks are (%(default)s)")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Vary one axis at a time, with the others at their base value, each point in its own process.

    Returns:
        One row per point, with the exponent of the axis: the log-log slope of the time, and that of the arithmetic. The
        figure is written to growth.png, next to the table.
    """
    rows: list[Row] = []
    for key, (name, values, expected) in AXES.items():
        points = []
        for value in values:
            print(f"{name}: {value}", file=sys.stderr, flush=True)
            chosen = BASE | {key: str(value)}
            words = [f"{entry}={text}" for entry, text in chosen.items()]
            words += drawn_data(words, arguments.steps)
            found = timed_command(words, arguments.steps, 2, arguments.device)
            batch = int(chosen["datamodule.batch_size"])
            points.append({"ms/step": 1000 * batch / found["images/s"], "peak MB": found["peak MB"]})
        exponent = growth_exponent(values, [point["ms/step"] for point in points])
        told = {"exponent of the time": exponent, "of the arithmetic": expected}
        rows += [{"axis": name, "value": value} | point | told for value, point in zip(values, points, strict=True)]
    if arguments.out:
        draw(pd.DataFrame(rows), arguments.out / "growth.png")
    return rows


def growth_exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the exponent with which time grows with size, by least squares in logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def draw(table: pd.DataFrame, file: Path) -> None:
    """Plot time and memory against each axis, with logarithmic axes except for memory.

    Args:
        table: the rows.
        file: to write the figure to.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    axes = list(dict.fromkeys(table["axis"]))
    figure = Figure(figsize=(3 * len(axes), 5), layout="constrained")
    panels = figure.subplots(2, len(axes), squeeze=False)
    for column, axis in enumerate(axes):
        points = table[table["axis"] == axis]
        first = points.iloc[0]
        expected = first["ms/step"] * (points["value"] / first["value"]) ** first["of the arithmetic"]
        time, memory = panels[0][column], panels[1][column]
        time.loglog(points["value"], points["ms/step"], "o-")
        time.loglog(points["value"], expected, "k:", label="arithmetic")
        time.legend(frameon=False)
        time.set_yticks(points["ms/step"], [f"{value:.0f}" for value in points["ms/step"]])
        time.yaxis.set_minor_locator(NullLocator())
        memory.semilogx(points["value"], points["peak MB"], "o-")
        memory.set_ylim(0, 1.1 * points["peak MB"].max())  # most of it is PyTorch
        for panel, measured in ((time, "ms/step"), (memory, "peak MB")):
            panel.set(xlabel=axis, ylabel=measured)
            panel.set_xticks(points["value"], points["value"].astype(str))
            panel.xaxis.set_minor_locator(NullLocator())
    figure.savefig(file, dpi=120)
