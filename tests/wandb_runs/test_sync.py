"""scripts/sync_wandb.py: what it uploads, what it leaves, and what it says."""

import sys
from pathlib import Path

import pytest

from scripts import sync_wandb
from wconv.experiment.reports.wandb.parts import HEADER, list_parts


@pytest.fixture
def recorded(train, monkeypatch, tmp_path) -> Path:
    """The folder of three runs that recorded without a network."""
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for seed in range(3):
        options = ("trainer.max_epochs=1", f"seed={seed}")
        assert train("logger=wandb", "logger.mode=offline", *options).code == 0
    return tmp_path / "runs"


def test_runs_are_uploaded_in_batches_that_can_be_interrupted(recorded, program, online, server):
    """The second run cannot be read; the others are uploaded all the same, and once."""
    _, second, _ = sorted(recorded.glob("classification/*"))
    (part,) = list_parts(second)
    whole = part.file.read_bytes()
    part.file.write_bytes(b"not a record of W&B")
    done = program("scripts/sync_wandb.py", str(recorded), "--batch", "2", **online)
    assert done.code == 1
    assert done.out.splitlines() == ["3 runs; to upload: 3 parts; still being written: 0", *uploaded((1, 2), 3)]
    assert done.err == f"sync_wandb: {part.file} is damaged; run the same command to continue\n"
    assert len(server.runs) == 2

    part.file.write_bytes(whole)
    done = program("scripts/sync_wandb.py", str(recorded), "--project", "other", "--entity", "them", **online)
    assert (done.code, done.err) == (0, "")
    projects = {(run.facts["project"], run.facts["entity"]) for run in server.runs.values()}
    assert projects == {("wconv", "us"), ("other", "them")}
    assert done.out.splitlines() == ["3 runs; to upload: 1 parts; still being written: 0", *uploaded((1,), 1)]
    assert sorted(server.runs) == sorted(path.read_text().strip() for path in recorded.glob("*/*/wandb_id"))
    assert [run.epochs for run in server.runs.values()] == [[0]] * 3
    assert {run.config["seed"] for run in server.runs.values()} == {0, 1, 2}


def uploaded(counts: tuple[int, ...], of: int) -> list[str]:
    return [f"uploaded {count} of {of}" for count in counts]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A finished run with two parts that are no real ones."""
    directory = tmp_path / "runs" / "run"
    for number in (1, 2):
        path = directory / "wandb" / f"offline-run-20260101_00000{number}-abc"
        path.mkdir(parents=True)
        (path / "run-abc.wandb").write_bytes(b"some record of W&B")
    (directory / "results.json").write_text('{"status": "completed"}')
    return directory


def test_what_would_be_uploaded_is_only_named(folder, capsys):
    first, second = list_parts(folder)
    assert sync_wandb.main([str(folder.parent), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 runs; to upload: 2 parts; still being written: 0",
        str(first.folder),
        str(second.folder),
    ]


def test_what_is_uploaded_or_empty_is_left(folder, capsys):
    first, second = list_parts(folder)
    first.mark.touch()  # W&B's mark of a part it uploaded
    second.file.write_bytes(second.file.read_bytes()[:HEADER])  # killed before anything was written
    assert sync_wandb.main([str(folder)]) == 0
    assert capsys.readouterr().out == "1 runs; to upload: 0 parts; still being written: 0\n"


def test_the_last_part_of_a_run_that_goes_on_is_left(folder, capsys):
    (folder / "results.json").write_text('{"status": "running"}')
    first, _ = list_parts(folder)
    assert sync_wandb.main([str(folder), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "1 runs; to upload: 1 parts; still being written: 1",
        str(first.folder),
    ]


def test_a_run_that_is_online_sends_for_itself(folder, capsys):
    (folder / "results.json").write_text('{"status": "running"}')
    for part in list_parts(folder):
        part.folder.rename(part.folder.with_name(part.folder.name.removeprefix("offline-")))
    assert sync_wandb.main([str(folder)]) == 0
    assert capsys.readouterr().out == "1 runs; to upload: 0 parts; still being written: 0\n"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"WANDB_BASE_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
        pytest.param({"WANDB_API_KEY": ""}, "there is no key (WANDB_API_KEY, or", marks=pytest.mark.faults),
        pytest.param({"WANDB_API_KEY": "short"}, "the key cannot be used", marks=pytest.mark.faults),
    ],
)
def test_what_is_in_the_way_is_said_in_one_sentence(more, message, program, online, folder):
    done = program("scripts/sync_wandb.py", str(folder), **online | more)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert "short" not in done.err


def test_without_its_package_it_says_what_to_install(folder, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "wandb"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "wandb", None)
    assert sync_wandb.main([str(folder)]) == 2
    assert capsys.readouterr().err == 'sync_wandb: needs wandb: pip install -e ".[experiment]"\n'


def test_folders_without_a_record_are_refused(tmp_path, capsys):
    assert sync_wandb.main([str(tmp_path / "none")]) == 2
    assert "is no folder" in capsys.readouterr().err
    assert sync_wandb.main([str(tmp_path)]) == 2
    assert "has no W&B record of any run" in capsys.readouterr().err
    assert sync_wandb.main([str(tmp_path), "--batch", "0"]) == 2
