"""kill -9 of a search at any instant: it ends with the history of one that nobody killed, and trains nothing twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.faults

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "experiment=quickstart",
    "datamodule.train_images=200",
    "datamodule.test_images=100",
    "trainer.max_epochs=1",
    "search.seeds=[0]",
)
WORKERS = 4


def start(output_dir: Path, *words: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, ROOT / "scripts" / "search.py", *TINY, f"paths.output_dir={output_dir}", *words]
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)


def kill(process: "subprocess.Popen[bytes]") -> bool:
    """Kill a process with its children; return whether it was still at work."""
    if process.poll() is not None:
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def history(output_dir: Path) -> str:
    (file,) = output_dir.glob("searches/*/history.csv")
    return file.read_text()


def started(output_dir: Path) -> set[Path]:
    return set(output_dir.glob("classification/*"))


@pytest.mark.parametrize(
    "words",
    [("search=direct_l", "search.evaluations=8"), ("search=optuna", "search.evaluations=8")],
    ids=lambda w: w[0],
)
def test_a_search_that_is_killed(words: Sequence[str], tmp_path: Path, chance, record_fault) -> None:
    alone, disturbed = tmp_path / "alone", tmp_path / "disturbed"
    assert start(alone, *words, "--no-confirm").wait() == 0
    kills = 0
    while kills < 5:
        process = start(disturbed, *words, "--no-confirm")
        before = started(disturbed)
        while process.poll() is None and started(disturbed) == before:
            time.sleep(0.05)  # how long it takes to begin a run depends on the machine, and on what else runs
        time.sleep(chance.uniform(0, 1))
        if not kill(process):
            break  # it is done: killing it has not kept it from that
        kills += 1
    assert kills >= 2
    assert start(disturbed, *words, "--no-confirm").wait() == 0
    assert history(disturbed) == history(alone)
    assert {folder.name for folder in started(disturbed)} == {folder.name for folder in started(alone)}
    record_fault(f"kill -9 of {words[0]}", kills, "nothing: history.csv is the same")


def test_workers_that_are_killed_lose_nothing_and_do_nothing_twice(tmp_path: Path, chance, record_fault) -> None:
    words = ("search=optuna", "search.evaluations=8")
    workers = [start(tmp_path, *words, "--worker") for _ in range(WORKERS)]
    for _ in range(WORKERS):
        time.sleep(chance.uniform(3, 7))
        victim = chance.randrange(WORKERS)
        kill(workers[victim])
        workers[victim] = start(tmp_path, *words, "--worker")
    assert [worker.wait() for worker in workers] == [0] * WORKERS
    assert start(tmp_path, *words, "--no-confirm").wait() == 0  # what a worker left that was killed last of all
    rows = list(csv.DictReader(history(tmp_path).splitlines()))
    assert [int(row["evaluation"]) for row in rows] == list(range(2 + 8))
    assert {row["status"] for row in rows} == {"completed"}
    assert len({row["k3[0]"] for row in rows}) == len(rows)
    assert {folder.name for folder in started(tmp_path)} == {Path(row["run"]).name for row in rows}
    record_fault(f"kill -9 of one of {WORKERS} workers of search=optuna", WORKERS, "nothing, and nothing is done twice")
