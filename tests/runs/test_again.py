"""Runs that are stopped, moved, damaged, held by others or started again: train.py finds them as they are."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
import torch
from filelock import FileLock

from datamodules.synthetic_classes import SyntheticClasses
from tests.tiny import interrupted, read_results
from wconv.experiment.runs import checkpoint_io
from wconv.experiment.tasks.classification import Classification, ClassificationMetrics

ROOT = Path(__file__).resolve().parents[2]


def test_the_same_command_again_returns_the_result(train):
    first = train()
    checkpoint = first.directory / "checkpoints" / "last.ckpt"
    made = checkpoint.stat().st_mtime_ns
    again = train()
    assert again.code == 0
    assert "completed before" in again.out
    best = first.results["best_epoch"] + 1
    for done in (first, again):
        assert f"after epoch {best} of {first.results['epochs']}, the best in validation" in done.out
    assert again.directory == first.directory
    assert checkpoint.stat().st_mtime_ns == made


def test_force_starts_over(train):
    first = train()
    (first.directory / "leftover").write_text("of the first run")
    again = train("force=true")
    assert again.directory == first.directory
    assert "completed before" not in again.out
    assert not (again.directory / "leftover").exists()


@pytest.mark.parametrize("conv", ["standard", "scaled_init", "trainable", "ablation"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(conv, train, tmp_path, monkeypatch):
    """Stopped in the third of three epochs; the mlp head has dropout, with a stream of its own."""
    monkeypatch.setattr("models.vgg.HIDDEN", 32)
    options = (f"conv={conv}", "model.head=mlp", "trainer.max_epochs=3")
    if conv == "ablation":
        options += ("conv.decay=true", "optimizer=adamw", "optimizer.weight_decay=0.5")
    undisturbed = train(*options)
    with interrupted(epoch=2):
        stopped = train(*options, f"paths.output_dir={tmp_path / 'other'}")
    assert stopped.code == 75
    directory = next((tmp_path / "other").glob("classification/*"))
    assert read_results(directory)["status"] == "interrupted"
    resumed = train(*options, f"paths.output_dir={tmp_path / 'other'}")
    assert "resuming from step" in resumed.out
    assert resumed.directory == directory
    assert (directory / "metrics.csv").read_bytes() == (undisturbed.directory / "metrics.csv").read_bytes()
    assert read_results(directory)["metrics"] == read_results(undisturbed.directory)["metrics"]


def test_what_killed_processes_left_half_written_is_removed(train):
    directory = train("trainer.max_epochs=1").directory
    (directory / "results.json").unlink()
    left = [
        f"{name}.{os.getpid() + 1}.part" for name in (".results.json", "..lock.owner", "checkpoints/.last.ckpt.sha256")
    ]
    for name in (*left, "images/.a.png.1.part", "checkpoints/.last.ckpt.part"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_bytes(b"half")
    assert train("trainer.max_epochs=1").directory == directory
    assert read_results(directory)["status"] == "completed"
    assert not list(directory.rglob(".*.part"))


def test_a_run_that_was_moved_knows_its_best_epoch(train, tmp_path):
    """Stopped in the last of four epochs, of which the first was made the best by hand; then the folder moves."""
    worse = iter([0.9, 0.5, 0.4])
    original = ClassificationMetrics.compute_and_reset

    def compute_and_reset(self, prefix):
        scores = original(self, prefix)
        if prefix == "val":
            value = next(worse, None)
            if value is None:
                raise KeyboardInterrupt
            scores["val/acc"] = torch.tensor(value)
        return scores

    options = ("trainer.max_epochs=4",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClassificationMetrics, "compute_and_reset", compute_and_reset)
        assert train(*options, f"paths.output_dir={tmp_path / 'here'}").code == 75
    (tmp_path / "here").rename(tmp_path / "there")
    content = read_results(train(*options, f"paths.output_dir={tmp_path / 'there'}").directory)
    assert content["best_epoch"] == 0
    assert content["metrics"]["val/acc"] == 0.9
    directory = next((tmp_path / "there").glob("classification/*"))
    assert torch.load(directory / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 0


def test_what_another_process_finished_in_the_meantime_is_not_run_again(train, monkeypatch):
    """The other process ends its run while this one still reads its data."""
    directory = train().directory
    finished = (directory / "results.json").read_text()
    (directory / "results.json").unlink()
    original = SyntheticClasses.load

    def load(self):
        original(self)
        (directory / "results.json").write_text(finished)

    monkeypatch.setattr(SyntheticClasses, "load", load)
    monkeypatch.setattr(Classification, "training_step", None)
    done = train()
    assert done.code == 0, done.err
    assert (directory / "results.json").read_text() == finished


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"config_hash": ', "half"])
def test_results_that_cannot_be_read_are_none(train, content):
    directory = train("trainer.max_epochs=1").directory
    (directory / "results.json").write_text(content)
    done = train("trainer.max_epochs=1")
    assert done.code == 0, done.err
    assert read_results(directory)["status"] == "completed"


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(train):
    directory = train().directory
    undisturbed = read_results(directory)["metrics"]
    (directory / "results.json").unlink()
    last = directory / "checkpoints" / "last.ckpt"
    last.write_bytes(b"not a checkpoint")
    done = train()
    assert done.code == 0
    assert f"{last} is damaged" in done.err
    assert "resuming from step 5 " in done.out  # of two epochs of five steps
    assert last.with_name("last.ckpt.damaged").read_bytes() == b"not a checkpoint"
    assert read_results(directory)["metrics"] == undisturbed


def test_a_run_that_was_interrupted_after_its_last_step_says_that_only_the_test_is_left(train):
    directory = train().directory
    (directory / "results.json").unlink()
    done = train()
    assert "the training is complete; now the test" in done.out
    assert "\ntraining " not in done.out


def test_without_any_sound_checkpoint_a_run_starts_over_and_says_so(train):
    directory = train().directory
    undisturbed = read_results(directory)["metrics"]
    (directory / "results.json").unlink()
    for name in ("last.ckpt", "previous.ckpt"):
        (directory / "checkpoints" / name).write_bytes(b"")
    done = train()
    assert done.code == 0
    assert "no sound checkpoint is left" in done.err
    assert read_results(directory)["metrics"] == undisturbed


def test_a_best_epoch_that_is_damaged_is_not_tested(train):
    directory = train().directory
    (directory / "results.json").unlink()
    best = directory / "checkpoints" / "best.ckpt"
    content = bytearray(best.read_bytes())
    content[len(content) // 2] ^= 1
    best.write_bytes(content)
    done = train()
    assert done.code == 1
    assert f"{best}, the best epoch of this run, is damaged" in done.err
    assert "force=true" in done.err
    assert read_results(directory)["status"] == "failed"


def test_a_failing_run_says_so(train, monkeypatch):
    def fail(*_):
        raise RuntimeError("the roof is on fire")

    monkeypatch.setattr(Classification, "training_step", fail)
    done = train()
    assert done.code == 1
    assert "RuntimeError: the roof is on fire" in done.err
    assert "Traceback" not in done.err


def test_a_failed_run_keeps_its_traceback_and_can_be_run_again(train, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "training_step", lambda *_: 1 / 0)
        assert train().code == 1
    directory = next((tmp_path / "runs").glob("classification/*"))
    assert "ZeroDivisionError" in (directory / "error.log").read_text()
    assert read_results(directory)["status"] == "failed"
    assert train().code == 0
    assert not (directory / "error.log").exists()


def test_a_run_that_another_process_holds_is_left_alone(train):
    directory = train().directory
    (directory / "results.json").unlink()
    (directory / ".lock.owner").write_text('{"host": "elsewhere", "pid": 1234}')
    with FileLock(directory / ".lock"):
        done = train()
    assert done.code == 75
    assert "process 1234 on elsewhere" in done.err


def test_a_folder_of_another_run_is_refused(train):
    directory = train().directory
    content = read_results(directory)
    (directory / "results.json").write_text(json.dumps(content | {"config_hash": "0" * 64}))
    done = train()
    assert done.code == 2
    assert "another run" in done.err


def test_the_real_command_survives_sigterm(tmp_path):
    """The whole program: plain lines in a file, exit code 75, then on to the end and the folder as the last line."""
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "experiment=quickstart",
        "datamodule.train_images=2000",
        "datamodule.test_images=100",
        "trainer.max_epochs=3",
        f"paths.output_dir={tmp_path}",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        deadline = time.monotonic() + 120
        while "epoch 1/3" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    directory = Path(done.stdout.splitlines()[-1])
    assert read_results(directory)["status"] == "completed"
    shutil.rmtree(directory)


def test_a_checkpoint_is_read_and_hashed_once(train):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "on_test_epoch_end", interrupt)
        assert train().code == 75
    with (
        mock.patch.object(torch, "load", wraps=torch.load) as read,
        mock.patch.object(checkpoint_io, "checksum", wraps=checkpoint_io.checksum) as hashed,
    ):
        done = train()
    assert done.code == 0, done.err
    assert "resuming from step" in done.out
    for calls in (read, hashed):
        names = [Path(call.args[0]).name for call in calls.call_args_list]
        assert [name for name in names if not name.endswith(".part")] == ["last.ckpt", "best.ckpt"]  # .part: written


def interrupt(*_args: object) -> None:
    raise KeyboardInterrupt
