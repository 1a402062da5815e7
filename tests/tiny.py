"""Runs of about a second, with every part in them, and what a call of train.py leaves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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


@contextmanager
def interrupted(epoch: int) -> Iterator[None]:
    """Interrupt the training of a classifier in an epoch, as Ctrl-C does."""
    from wconv.experiment.tasks.classification import Classification

    original = Classification.on_validation_epoch_end

    def stop(self: Classification) -> None:
        if self.current_epoch == epoch:
            raise KeyboardInterrupt
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "on_validation_epoch_end", stop)
        yield


def read_results(directory: Path) -> dict[str, Any]:
    """Return what results.json holds, which is JSON of the standard."""
    return json.loads((directory / "results.json").read_text(), parse_constant=pytest.fail)


class CommandResult(NamedTuple):
    """What a call of train.py or of a script left."""

    code: int
    out: str
    err: str

    @property
    def directory(self) -> Path:
        return Path(self.out.splitlines()[-1])

    @property
    def results(self) -> dict[str, Any]:
        return read_results(self.directory)

    def refusal(self) -> str:
        """Require that the command was refused with one sentence, and return it."""
        assert (self.code, self.out) == (2, ""), self.err
        assert self.err.count("\n") == 1, self.err
        return self.err
