"""What a run leaves on the disk for W&B without a network, however it ends; W&B's own reader reads it back."""

import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tiny import interrupted
from wconv.experiment.reports.wandb.logger import WandbRunLogger
from wconv.experiment.reports.wandb.parts import Part, list_parts
from wconv.experiment.reports.wandb.sync import STALE, find_pending
from wconv.experiment.tasks.classification import Classification

REST = "the run goes on without it, and scripts/sync_wandb.py uploads the rest"


def inspected(part: Part) -> dict[str, Any]:
    """Return what `wandb leet inspect` says of a part."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--summary", "--json", str(part.folder)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.fixture
def offline(train, monkeypatch):
    """Call train.py on a tiny run that records for W&B."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    return lambda *options: train("logger=wandb", "logger.mode=offline", *options)


@pytest.fixture
def directory(tmp_path) -> Any:
    """Return the folder of the only run."""
    return lambda: next((tmp_path / "runs").glob("classification/*"))


def epochs(directory: Path) -> list[int]:
    return [int(str(row["epoch"])) for part in list_parts(directory) for row in part.history if "epoch" in row]


def test_a_failed_run_is_shown_as_failed(offline, directory, monkeypatch):
    monkeypatch.setattr(Classification, "training_step", lambda *_: 1 / 0)
    assert offline().code == 1
    (part,) = list_parts(directory())
    assert inspected(part)["exit_code"] == 1
    assert inspected(part)["state"] == "failed"


def test_a_stopped_run_goes_on_in_the_same_record(offline, directory):
    """Stopped in its third epoch; both parts together have every epoch once, and know the best of all."""
    with interrupted(epoch=2):
        assert offline("trainer.max_epochs=4").code == 75
    identifier = (directory() / "wandb_id").read_text()
    (first,) = list_parts(directory())
    assert inspected(first)["exit_code"] == 75
    time.sleep(1)  # W&B names its folders by the second
    done = offline("trainer.max_epochs=4")
    assert done.code == 0, done.err
    assert (directory() / "wandb_id").read_text() == identifier
    _, second = list_parts(directory())
    assert epochs(directory()) == [0, 1, 2, 3]
    shown = inspected(second)
    assert (shown["run_id"], shown["exit_code"], shown["state"]) == (identifier.strip(), 0, "finished")
    table = pd.read_csv(directory() / "metrics.csv")
    assert shown["summary"]["val/acc"] == {"max": table["val/acc"].max()}
    assert shown["summary"]["val/loss"] == {"min": table["val/loss"].min()}


def test_starting_over_is_a_new_run_of_wandb(offline, directory):
    assert offline("trainer.max_epochs=1").code == 0
    before = (directory() / "wandb_id").read_text()
    assert offline("trainer.max_epochs=1", "force=true").code == 0
    assert (directory() / "wandb_id").read_text() != before
    assert epochs(directory()) == [0]


def test_a_record_is_closed_every_so_often_so_that_it_can_be_uploaded_while_the_run_goes_on(
    offline, directory, monkeypatch
):
    """A part an epoch here; in the last epoch, all but the part that is open may be uploaded."""
    seen: list[tuple[int, int]] = []
    original = Classification.on_validation_epoch_end

    def look(self):
        original(self)
        if self.current_epoch == 2:
            found = find_pending(directory())
            seen.append((len(found.closed), len(found.open)))
        time.sleep(1)

    monkeypatch.setattr(Classification, "on_validation_epoch_end", look)
    assert offline("trainer.max_epochs=3", "logger.part_minutes=0.0001").code == 0
    assert seen == [(2, 1)]
    assert epochs(directory()) == [0, 1, 2]
    found = find_pending(directory())
    assert (len(found.closed), len(found.open)) == (4, 0)
    assert [inspected(part)["exit_code"] for part in found.closed] == [75, 75, 75, 0]


def test_a_killed_run_counts_as_closed_after_a_while(offline, directory, monkeypatch):
    assert offline("trainer.max_epochs=1").code == 0
    path = directory() / "results.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"status": "running"}))
    assert (len(find_pending(directory()).closed), len(find_pending(directory()).open)) == (0, 1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * STALE)
    assert (len(find_pending(directory()).closed), len(find_pending(directory()).open)) == (1, 0)


@pytest.mark.parametrize("place", ["_begin", "_log_epochs", "_end_part"])
def test_trouble_with_wandb_is_one_warning(place, offline, monkeypatch):
    def fail(*_):
        raise RuntimeError("no more room")

    monkeypatch.setattr(WandbRunLogger, place, fail)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        done = offline()
    assert done.code == 0
    told = [str(warning.message) for warning in caught if "W&B" in str(warning.message)]
    assert told == [f"W&B gave up (RuntimeError: no more room); {REST}"]


def test_disabled_is_disabled(train, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    done = train("logger=wandb", "trainer.max_epochs=1")
    assert done.code == 0
    assert not list(done.directory.glob("wandb*"))


@pytest.mark.parametrize("word", ["OFFLINE", " Offline ", "DryRun"])
def test_a_word_in_any_case_is_understood(word, offline, monkeypatch):
    """By W&B as well, which reads the variable and knows small letters only."""
    monkeypatch.setenv("WANDB_MODE", word)
    done = offline("trainer.max_epochs=1", "logger.mode=online")
    assert done.code == 0
    assert "W&B: offline, in" in done.out
    assert "gave up" not in done.err
    assert len(list_parts(done.directory)) == 1


@pytest.mark.parametrize("word", ["0", "false", "off", "shared"])
def test_an_unknown_word_is_refused_before_the_training(word, train, monkeypatch, tmp_path):
    monkeypatch.setenv("WANDB_MODE", word)
    done = train("logger=wandb", "trainer.max_epochs=1")
    assert (done.code, done.out) == (2, "")
    assert done.err == (f"train.py: WANDB_MODE={word}: expected online, offline or disabled; set one, or unset it\n")
    assert not (tmp_path / "runs").exists()


def test_the_logger_does_not_change_what_a_run_is(train, offline):
    recorded = offline("trainer.max_epochs=1")
    again = train("trainer.max_epochs=1")
    assert again.directory == recorded.directory
    assert "completed before" in again.out


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("logger.mode=on", "logger.mode=on: expected online or offline"),
        ("logger.project=null", "logger.project=None: expected a name"),
        ("logger.part_minutes=0", "expected a number above 0"),
        ("logger.projct=a", "did you mean 'logger.project'?"),
        ("logger=wandbb", "did you mean 'wandb'?"),
    ],
)
def test_what_it_does_not_know_is_refused(option, message, train, tmp_path):
    done = train(*(() if option.startswith("logger=") else ("logger=wandb",)), option)
    assert done.code == 2
    assert message in done.err
    assert list(tmp_path.iterdir()) == []


def test_without_its_package_it_says_what_to_install(train, monkeypatch):
    monkeypatch.setattr("pytorch_lightning.loggers.wandb._WANDB_AVAILABLE", False)
    done = train("logger=wandb")
    assert done.code == 2
    assert "logger=wandb needs the package wandb: pip install wandb, or logger=csv" in done.err
