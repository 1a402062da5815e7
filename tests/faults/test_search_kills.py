"""kill -9 of a search at any instant, and of its workers: nothing is lost, and nothing is trained twice."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fault_harness import DEADLINE, ROOT

from tests.tiny import CLASSIFIER, command_line

pytestmark = pytest.mark.faults


def start(folder: Path, *words: str) -> subprocess.Popen:
    tiny = command_line(CLASSIFIER, "trainer.max_epochs=1", f"paths.output_dir={folder}")
    line = [sys.executable, str(ROOT / "scripts" / "search.py"), *tiny, *words, "--no-confirm"]
    log = folder.with_suffix(".log").open("a")
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(line, stdout=log, stderr=subprocess.STDOUT, env=environment)


def end(process: subprocess.Popen, folder: Path) -> None:
    assert process.wait(DEADLINE) == 0, folder.with_suffix(".log").read_text()


def table(folder: Path) -> str:
    (file,) = folder.glob("searches/*/history.csv")
    return file.read_text()


def last_line(folder: Path, start: str) -> str:
    lines = folder.with_suffix(".log").read_text().splitlines()
    return [line for line in lines if line.startswith(start)][-1]


@pytest.mark.parametrize(("method", "most"), [("direct_l", 5), ("optuna", 2)])
def test_a_search_that_is_killed_ends_as_one_left_alone(method, most, tmp_path, chance, record_fault):
    words = (f"search={method}", "search.seeds=[0]", "search.evaluations=4")
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    began = time.monotonic()
    end(start(alone, *words), alone)
    seconds = time.monotonic() - began
    kills = 0
    while kills < most:
        process = start(killed, *words)
        time.sleep(chance.uniform(0.3, 0.9) * seconds)
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
    end(start(killed, *words), killed)
    assert table(killed) == table(alone)
    assert last_line(killed, "best: ") == last_line(alone, "best: ")
    assert {path.name for path in killed.glob("classification/*")} == {
        path.name for path in alone.glob("classification/*")
    }
    record_fault(f"kill -9 of a search ({method})", kills, "nothing: the same history and the same best")


def workers(parent: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(parent), "-f", "--", "--worker"], capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def test_four_workers_that_are_killed_lose_nothing_and_train_nothing_twice(tmp_path, chance, record_fault):
    words = ("search=optuna", "search.seeds=[0]", "search.evaluations=10", "trainer.max_epochs=4")
    folder = tmp_path / "runs"
    process = start(folder, *words, "--workers", "4")
    deadline = time.monotonic() + DEADLINE
    while len(list(folder.glob("classification/*/results.json"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed = 0
    while killed < 4 and (alive := workers(process.pid)):
        os.kill(chance.choice(alive), signal.SIGKILL)
        killed += 1
        time.sleep(chance.uniform(0.2, 1.0))
    end(process, folder)
    rows = list(csv.DictReader(table(folder).splitlines()))
    assert [int(row["evaluation"]) for row in rows] == list(range(12))
    assert {row["status"] for row in rows} == {"completed"}
    assert len({row["k3[0]"] for row in rows}) == 12
    # Each run of the history is there, and no other: what a killed worker had begun was ended, and not begun anew.
    assert sorted(path.relative_to(folder).as_posix() for path in folder.glob("classification/*")) == sorted(
        row["run"] for row in rows
    )
    for row in rows:
        epochs = [line.split(",")[0] for line in (folder / row["run"] / "metrics.csv").read_text().splitlines()[1:]]
        assert epochs[:4] == ["0", "1", "2", "3"]
    assert killed == 4
    record_fault("kill -9 of the workers of a search (optuna)", killed, "nothing: each trial was done, and once")
