"""Several processes: what they cannot share is refused before the training, and the one that failed is named."""

import pytest

from tests.tiny import DENOISER, command_line
from wconv.experiment.training import train as training

TWO = ("trainer.devices=2", "trainer.strategy=ddp")
FEW = {
    "the test set has 1 image": ("datamodule.test_images=1",),
    "the validation set has 1 image": ("datamodule.val_size=1",),
    "a training batch has 1 image": ("datamodule.train_subset=3", "datamodule.val_size=2"),
}
FEW_TO_DENOISE = {
    "the test set has 1 image": ("datamodule.test_images=1",),
    "the validation set has 1 image": ("datamodule.val_size=1",),
    "a training batch has 1 image": ("datamodule.patches_per_epoch=1",),
}


def check(done, part: str) -> None:
    assert done.code == 2, done.err
    assert f"{part} for 2 processes, and each needs one; use more images, or trainer.devices=1" in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


@pytest.mark.parametrize(("part", "options"), FEW.items())
def test_a_classifier_with_fewer_images_than_processes(train, tmp_path, part, options):
    check(train(*TWO, *options), part)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("part", "options"), FEW_TO_DENOISE.items())
def test_a_denoiser_with_fewer_images_than_processes(train, tmp_path, part, options):
    check(train(*command_line(DENOISER, *options), *TWO), part)
    assert list(tmp_path.iterdir()) == []


def test_the_cause_is_that_of_the_process_that_failed_first(train, monkeypatch, tmp_path):
    """The first process only notices that the connection is closed; the traceback of the other one is in a file."""

    def fail(run, files):
        (run.directory / "error.rank1.log").write_text("Traceback ...\nValueError: no such image\n")
        raise RuntimeError("Connection closed")

    whole = training.best_checkpoint
    monkeypatch.setattr(training, "best_checkpoint", fail)
    done = train()
    assert done.code == 1
    assert "the run failed in another process with ValueError: no such image" in done.err
    (log,) = tmp_path.rglob("error.rank1.log")
    assert f"(see {log})" in done.err
    text = log.with_name("error.log").read_text()
    assert "RuntimeError: Connection closed" in text
    assert f"Another process failed before: see {log}" in text

    monkeypatch.setattr(training, "best_checkpoint", whole)
    done = train()
    assert done.code == 0
    assert not list(done.directory.glob("error*"))
