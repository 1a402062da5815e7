"""Going on with a run folder that was made to attack, and secrets of the environment: nothing of it gets through."""

import os
import shutil
from pathlib import Path

import pytest
import torch

from tests.tiny import interrupted


class Attack:
    """Make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {self.path}",)


@pytest.fixture(autouse=True)
def row(record_fault) -> None:
    record_fault("a malicious run folder, in train.py", 1, "nothing ran, nothing was written outside")


TINY_EPOCHS = ("trainer.max_epochs=3", "trainer.accelerator=cpu")


@pytest.fixture
def stopped(train, tmp_path):
    """Return the folder of a run that was stopped in its third epoch."""
    with interrupted(epoch=2):
        assert train(*TINY_EPOCHS).code == 75
    return next((tmp_path / "runs").glob("classification/*"))


@pytest.mark.parametrize("name", ["{mine}/diary", "..", "../../..", "{mine}", "file://{mine}/diary", "s3://bucket/x"])
def test_a_checkpoint_does_not_say_what_is_deleted(train, stopped, mine, name):
    """Lightning removes what was the best checkpoint when there is a better one, whatever its path."""
    claimed = name.format(mine=mine)
    path = stopped / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    for state in content["callbacks"].values():
        if "best_model_path" in state:
            worst = torch.tensor(-1e9 if state.get("monitor") == "val/acc" else 1e9)
            state |= {"best_model_path": claimed, "kth_best_model_path": claimed, "last_model_path": claimed}
            state |= {"best_k_models": {claimed: worst}, "kth_value": worst, "dirpath": str(mine)}
    torch.save(content, path)
    path.with_name("last.ckpt.sha256").unlink(missing_ok=True)
    done = train(*TINY_EPOCHS)
    assert done.code == 0, done.err
    assert {entry.name: entry.read_text() for entry in mine.iterdir()} == {"diary": "dear diary"}
    assert {"config.yaml", "results.json", "metrics.csv", "checkpoints"} <= {entry.name for entry in stopped.iterdir()}
    assert {"best.ckpt", "last.ckpt"} <= {entry.name for entry in (stopped / "checkpoints").iterdir()}


@pytest.mark.parametrize("name", [".lock", "checkpoints", "metrics.csv", "images", "config.yaml", "error.log"])
def test_a_run_does_not_go_on_through_links_that_lead_out(train, stopped, mine, name):
    path = stopped / name
    if path.is_dir():
        shutil.rmtree(path)
        path.symlink_to(mine)
    else:
        path.unlink(missing_ok=True)
        path.symlink_to(mine / "diary")
    done = train(*TINY_EPOCHS)
    assert done.code == 2
    assert f"{path} is a link that leads out of the run folder" in done.err
    assert {entry.name: entry.read_text() for entry in mine.iterdir()} == {"diary": "dear diary"}


def test_a_pickle_does_not_run_when_a_run_goes_on(train, stopped, mine):
    path = stopped / "checkpoints" / "last.ckpt"
    content = torch.load(path, weights_only=True)
    torch.save({**content, "hparams": Attack(mine / "attacked")}, path)
    train(*TINY_EPOCHS)
    assert [entry.name for entry in mine.iterdir()] == ["diary"]


@pytest.mark.parametrize("line", ["datamodule.val_size=${oc.env:WANDB_API_KEY}", "paths.data_dir=${oc.env:MY_TOKEN}"])
def test_a_secret_of_the_environment_goes_nowhere(train, tmp_path, monkeypatch, line):
    monkeypatch.setenv("WANDB_API_KEY", "12345678")
    monkeypatch.setenv("MY_TOKEN", "12345678")
    done = train(line)
    assert done.code == 2
    assert "would write a secret into config.yaml" in done.err
    assert "12345678" not in done.out + done.err
    assert list(tmp_path.iterdir()) == []


def test_a_path_of_the_environment_is_used(train, tmp_path, monkeypatch):
    monkeypatch.setenv("SCRATCH", str(tmp_path / "scratch"))
    done = train("paths.output_dir=${oc.env:SCRATCH}/runs", "debug=fast")
    assert done.code == 0, done.err
    assert done.directory.is_relative_to(tmp_path / "scratch" / "runs")
