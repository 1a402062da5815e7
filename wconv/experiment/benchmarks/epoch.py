"""Benchmark an epoch: train.py fast=true against a typical script, and weighted against standard convolutions."""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import nn
from torch.utils.data import Dataset

from wconv.experiment.benchmarks import usual_script
from wconv.experiment.benchmarks.operator import arms
from wconv.experiment.benchmarks.pairs import Quartiles, cpu_seconds, ratio
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.benchmarks.timed_run import BACKBONES, drawn_data, timed_run
from wconv.experiment.command_line.arguments import parse_command_line
from wconv.experiment.common.argument_types import positive
from wconv.experiment.common.checkout import CONFIGS
from wconv.experiment.tasks.network import build_model

BESIDE_THE_USUAL_SCRIPT = ("VGG-16, width 0.25", "ResNet-20", "DnCNN, 7 layers of 32")
SETTINGS = {"defaults": [], "fast=true": ["fast=true"]}
PATCH = 40


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pairs", type=positive, default=7, help="rounds of the timings (%(default)s)")
    parser.add_argument("--steps", type=positive, default=100, help="batches of an epoch (%(default)s)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="holds cifar-100-python/ and bsd400/ (without it: drawn images)"
    )
    parser.add_argument("--only", choices=["script", "arms"], help="one of both parts")


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure both parts.

    Returns:
        One row per network for the typical script against train.py with fast=true, and one per network and setting for
        weighted against standard convolutions. Each has median seconds, and the ratio of the pairs.
    """
    rows: list[Row] = []
    if arguments.only != "arms":
        rows += [_beside_usual_script(name, arguments) for name in BESIDE_THE_USUAL_SCRIPT]
    if arguments.only != "script":
        rows += [_arms(name, setting, arguments) for name in BACKBONES for setting in SETTINGS]
    return rows


def _beside_usual_script(name: str, arguments: argparse.Namespace) -> Row:
    words, steps = BACKBONES[name], arguments.steps
    batch = next(int(word.partition("=")[2]) for word in words if word.startswith("datamodule.batch_size="))
    ours = [*words, "conv=weighted", "fast=true", *_data(words, steps, arguments.data)]
    with tempfile.TemporaryDirectory() as folder:
        model, data = _usual(words, batch * steps, arguments.data, Path(folder))
        scripts = {count: usual_script.epoch(model, data, batch, steps, count) for count in (0, 2)}
        # Both warm up, and train.py is compared with the faster one.
        workers = min(scripts, key=lambda count: cpu_seconds(scripts[count]))
        return _compare(
            f"{name}, batch {batch}, weighted: usual script / train.py fast=true",
            {
                f"usual script, {workers} workers": lambda: cpu_seconds(scripts[workers]),
                "train.py": lambda: float(timed_run(ours, steps)["seconds"]),
            },
            arguments,
        )


def _usual(words: list[str], images: int, root: Path | None, folder: Path) -> tuple[nn.Module, Dataset[Any]]:
    """Return a network with `FormulaConv2d` layers, and the data of the typical script."""
    config = parse_command_line(words, CONFIGS).config
    assert config is not None
    if config.task.name == "classification":
        return arms(build_model(config, num_classes=100))["formula"], usual_script.classes(root, images)
    files = sorted((root / "bsd400").glob("*.png")) if root else _draw(folder)
    return arms(build_model(config, channels=1))["formula"], usual_script.Patches(files, PATCH, images)


def _draw(folder: Path) -> list[Path]:
    """Draw grey images of the size of BSD400, smooth enough to compress like photographs."""
    random = np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(40)]
    for file in files:
        coarse = Image.fromarray(random.integers(0, 256, (45, 45), dtype=np.uint8))
        coarse.resize((180, 180), Image.Resampling.BICUBIC).save(file)
    return files


def _data(words: list[str], steps: int, root: Path | None) -> list[str]:
    """Return the overrides for the data of train.py."""
    if root is None:
        return drawn_data(words, steps)
    if not any(word.startswith(("model=dncnn", "model=nafnet")) for word in words):
        return [f"paths.data_dir={root}"]
    batch = next(int(word.partition("=")[2]) for word in words if word.startswith("datamodule.batch_size="))
    folders = [f"datamodule.train_dir={root / 'bsd400'}", f"datamodule.test_dirs=[{root / 'bsd400'}]"]
    patches = f"datamodule.patches_per_epoch={batch * steps}"
    return ["datamodule=image_folder", "datamodule.channels=1", f"paths.data_dir={root}", *folders, patches]


def _arms(name: str, setting: str, arguments: argparse.Namespace) -> Row:
    words = [*BACKBONES[name], *SETTINGS[setting], *_data(BACKBONES[name], arguments.steps, arguments.data)]

    def seconds(arm: str) -> Callable[[], float]:
        return lambda: float(timed_run([*words, f"conv={arm}"], arguments.steps)["seconds"])

    return _compare(
        f"{name}, train.py {setting}: weighted / standard",
        {"weighted": seconds("weighted"), "standard": seconds("standard")},
        arguments,
    )


def _compare(what: str, epochs: dict[str, Callable[[], float]], arguments: argparse.Namespace) -> Row:
    """Time two epochs in alternating pairs; each function returns its own time, without start-up."""
    print(f"{what}: {time.strftime('%H:%M')}", file=sys.stderr, flush=True)
    seconds: dict[str, list[float]] = {name: [] for name in epochs}
    first, second = epochs
    for turn in range(arguments.pairs + 1):  # the first round is a warm-up
        for name in (first, second) if turn % 2 else (second, first):
            taken = epochs[name]()
            if turn:
                seconds[name].append(taken)
    return {
        "epoch": what,
        "data": "drawn" if arguments.data is None else "CIFAR-100 or BSD400",
        "batches": arguments.steps,
        "first": first,
        "first, s": Quartiles.of(seconds[first]).median,
        "second, s": Quartiles.of(seconds[second]).median,
        "first / second": ratio(seconds[first], seconds[second]),
    }
