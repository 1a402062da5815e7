"""Runs of about a second, with every part in them, and what a call of train.py leaves."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CLASSIFIER = {
    "datamodule": "synthetic_classes",
    "datamodule.train_images": "200",
    "datamodule.test_images": "60",
    "datamodule.batch_size": "32",
    "model.depth": "11",
    "model.width": "0.05",
    "trainer.max_epochs": "2",
    "trainer.accelerator": "cpu",
}
DENOISER = {
    "model": "dncnn",
    "model.depth": "3",
    "model.width": "4",
    "datamodule": "synthetic_images",
    "datamodule.train_images": "6",
    "datamodule.test_images": "10",
    "datamodule.drawn_size": "48",
    "datamodule.val_size": "2",
    "datamodule.patch_size": "16",
    "datamodule.patches_per_epoch": "64",
    "datamodule.batch_size": "16",
    "trainer.max_epochs": "2",
    "trainer.accelerator": "cpu",
}
# In grey, for one epoch, on smaller pictures: what scripts are tried on.
SMALL_DENOISER = DENOISER | {
    "datamodule.channels": "1",
    "datamodule.test_images": "3",
    "datamodule.drawn_size": "24",
    "datamodule.patches_per_epoch": "16",
    "trainer.max_epochs": "1",
}
# Keys that only the drawn images have.
SYNTHETIC_KEYS = ("datamodule.train_images", "datamodule.test_images", "datamodule.drawn_size")


def command_line(base: dict[str, str], *options: str) -> list[str]:
    """Return a command line of train.py; the options win."""
    chosen = dict(option.split("=", 1) for option in options)
    return [f"{key}={value}" for key, value in (base | chosen).items()]


@dataclass
class CommandResult:
    """What a call of train.py left."""

    code: int
    out: str
    err: str

    @property
    def directory(self) -> Path:
        return Path(self.out.splitlines()[-1])

    @property
    def results(self) -> dict[str, Any]:
        return json.loads((self.directory / "results.json").read_text(), parse_constant=pytest.fail)
