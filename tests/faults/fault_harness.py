"""Real processes of train.py, to be killed, signalled and started again, and what their runs must have in common."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 180.0  # seconds that no step of these tests takes

CLASSIFIER = (
    "datamodule=synthetic_classes",
    "datamodule.train_images=1500",
    "datamodule.test_images=200",
    "datamodule.batch_size=32",
    "model.depth=11",
    "model.width=0.05",
    "conv=weighted",
    "trainer.max_epochs=3",
)
DENOISER = (
    "model=dncnn",
    "model.depth=4",
    "model.width=8",
    "conv=weighted",
    "datamodule=synthetic_images",
    "datamodule.train_images=12",
    "datamodule.test_images=4",
    "datamodule.drawn_size=48",
    "datamodule.patch_size=24",
    "datamodule.patches_per_epoch=640",
    "datamodule.batch_size=16",
    "trainer.max_epochs=3",
)
# A checkpoint after every batch, and a line for every batch.
ALWAYS = ("trainer.accelerator=cpu", "callbacks.checkpoint.every_seconds=0", "callbacks.progress.every_seconds=0.001")


@dataclass
class Process:
    """A command that runs, with its output in a file."""

    popen: subprocess.Popen[str]
    log: Path
    started: float

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Look every millisecond until something is so, or the process has ended."""
        deadline = time.monotonic() + DEADLINE
        while not condition() and self.popen.poll() is None:
            assert time.monotonic() < deadline, self.output
            time.sleep(0.001)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        try:
            return self.popen.wait(DEADLINE)
        finally:
            self.popen.kill()


class Command:
    """A command line of train.py that is started as often as it takes."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = (*options, f"paths.output_dir={folder / 'runs'}")
        self.starts = 0

    def start(self, **environment: str) -> Process:
        self.starts += 1
        log = self.folder / f"log{self.starts}"
        line = [sys.executable, str(ROOT / "train.py"), *self.options]
        with log.open("w") as file:
            popen = subprocess.Popen(
                line,
                stdout=file,
                stderr=subprocess.STDOUT,
                text=True,
                cwd=self.folder,
                env=os.environ | environment | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
            )
        return Process(popen, log, time.monotonic())

    @property
    def directory(self) -> Path:
        """The folder of the run, which must be there."""
        return next((self.folder / "runs").glob("*/*"))

    @property
    def parts(self) -> list[Path]:
        """Checkpoints that are just being written."""
        return list((self.folder / "runs").glob("*/*/checkpoints/.*.part"))

    @property
    def results(self) -> dict:
        return json.loads((self.directory / "results.json").read_text())


def compared_content(directory: Path) -> tuple[str, dict, dict[str, torch.Tensor]]:
    """Return what two runs must have in common: metrics.csv, the results, the last weights."""
    content = json.loads((directory / "results.json").read_text())
    assert content["status"] == "completed"
    kept = {key: content[key] for key in ("metrics", "best_epoch", "epochs", "steps", "config_hash")}
    weights = torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return (directory / "metrics.csv").read_text(), kept, weights


def assert_bit_identical(directory: Path, reference_run: Path) -> None:
    """Require two finished runs to be bit-identical."""
    (table, results, weights), (other_table, other_results, other_weights) = map(
        compared_content, (directory, reference_run)
    )
    assert table == other_table
    assert results == other_results
    assert weights.keys() == other_weights.keys()
    assert all(torch.equal(weights[key], other_weights[key]) for key in weights)


def reference_run(folder: Path, *options: str) -> Command:
    """Run a command to its end."""
    command = Command(folder, *options)
    process = command.start()
    assert process.end() == 0, process.output
    return command


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """Mount a file system of a few megabytes; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)  # checkpoints may still be mapped
