import argparse

import pytest

from scripts import compare
from tests.tiny import CLASSIFIER, command_line
from wconv.experiment.benchmarks import startup
from wconv.experiment.benchmarks.startup import TO_FIRST_BATCH, cpu_seconds_of
from wconv.experiment.common.checkout import ROOT
from wconv.experiment.common.exceptions import RunError


def test_a_ratio_is_that_of_the_command_and_its_import_without_the_warm_up(monkeypatch):
    """Each command takes as long as its last word says; the first call of each, which fills caches, ten times that."""
    seen = set()

    def take(words, threads):
        assert threads == 3
        slow = 10.0 if tuple(words) not in seen else 1.0
        seen.add(tuple(words))
        return slow * (1.5 if words[0] == "scripts/compare.py" else 3.0 if "--help" in words else 1.0)

    monkeypatch.setattr(startup, "cpu_seconds_of", take)
    rows = {row["command"]: row for row in startup.measure(argparse.Namespace(pairs=2, threads=3, run=["seed=1"]))}
    assert rows["train.py --help"]["ratio of CPU seconds"].high == 3.0
    assert rows["scripts/compare.py results/cifar100_small/runs"]["ratio of CPU seconds"].low == 1.5
    assert rows["train.py seed=1, to its first batch"]["ratio of CPU seconds"].median == 1.0
    assert [row["at most"] for row in rows.values()].count(1.5) == sum("compare.py results" in row for row in rows) + 1
    assert "scripts/benchmark.py --help" in rows


def test_the_folders_that_are_timed_give_a_table(monkeypatch, run_main):
    monkeypatch.setattr(startup, "cpu_seconds_of", lambda words, threads: 1.0)
    rows = startup.measure(argparse.Namespace(pairs=1, threads=1, run=["seed=1"]))
    folders = [row["command"].split()[1] for row in rows if row["command"].startswith("scripts/compare.py results")]
    assert len(folders) > 3
    assert [run_main(compare.main, ROOT / folder).code for folder in folders] == [0] * len(folders)


def test_a_training_is_timed_until_its_first_batch_and_no_further(tmp_path):
    words = [*command_line(CLASSIFIER), f"paths.output_dir={tmp_path}", "trainer.max_epochs=100000"]
    assert cpu_seconds_of(["-c", TO_FIRST_BATCH, *words], threads=1) > 0
    assert not list(tmp_path.rglob("metrics.csv"))
    assert list(tmp_path.rglob("config.yaml"))  # all is built, and the run has its folder


def test_a_command_that_fails_is_no_measurement(tmp_path):
    with pytest.raises(RunError, match=r"(?s)unknown choice model=vg.*exit code 2"):
        cpu_seconds_of(["-c", TO_FIRST_BATCH, "model=vg"], threads=1)
