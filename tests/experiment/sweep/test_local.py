"""A sweep on one machine."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wconv.experiment.sweep.local import speed

ROOT = Path(__file__).resolve().parents[3]


def statuses(tmp_path: Path) -> list[str]:
    return sorted(json.loads(path.read_text())["status"] for path in tmp_path.glob("runs/*/*/results.json"))


@pytest.mark.parametrize(("seconds", "words"), [(36000, "0.2"), (459, "15.7"), (5.88, "1224")])
def test_the_speed_is_a_plain_number(seconds, words):
    assert speed(2, seconds) == f"{words} runs an hour"


def test_runs_beside_each_other_then_nothing_then_what_is_new(write, sweep, tmp_path):
    """One of two fails and does not stop the other; the sweep then grows by one run."""
    rates = "runs: [[optimizer.lr=1.0e30], [optimizer.lr=0.2]{}]"
    short = ("trainer.max_epochs=1", "datamodule.train_images=100")
    said = sweep(write(rates.format(""), overrides=short), "--local", 2)
    assert said.code == 1
    assert statuses(tmp_path) == ["completed", "failed"]
    assert "[2/2]" in said.out
    assert "failed with exit code 1: the loss is" in said.out
    assert re.search(r"done; [1-9][\d.]* runs an hour$", said.out, re.M)
    assert "tiny: 2 runs: 1 done, 1 failed" in said.out

    again = sweep(write(rates.format(""), overrides=short), "--local", 2)
    assert again.code == 0
    assert "nothing to start: 1 done, 1 failed; --retry failed runs the failed ones again" in again.out

    grown = sweep(write(rates.format(", [optimizer.lr=0.3]"), overrides=short), "--local", 2)
    assert grown.code == 0
    assert "[1/1]" in grown.out
    assert "tiny: 3 runs: 2 done, 1 failed" in grown.out


@pytest.fixture
def environment(write, sweep, tmp_path, monkeypatch):
    """Run one row of a sweep beside so many others, on a machine of 8 cores, and return what its process was told."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))  # as taskset or a job would narrow it
    monkeypatch.delenv("OMP_NUM_THREADS")
    python = tmp_path / "python"
    python.write_text('#!/bin/bash\necho "sweep $WCONV_SWEEP, threads $OMP_NUM_THREADS"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    def call(at_once: int) -> str:
        sweep(write("grid: {seed: [0]}"), "--local", at_once)
        return next(tmp_path.glob("runs/sweeps/tiny/launches/001/logs/*.log")).read_text()

    return call


def test_a_sweep_knows_its_runs_by_name(environment):
    """The group in W&B: every run is told the sweep it belongs to."""
    assert environment(1).startswith("sweep tiny,")


@pytest.mark.parametrize(("at_once", "threads"), [(1, 8), (3, 2), (8, 1), (32, 1)])
def test_runs_share_the_cores_that_the_sweep_may_use(environment, at_once, threads):
    assert environment(at_once).endswith(f", threads {threads}\n")


def test_a_number_of_threads_that_somebody_has_set_stands(environment, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert environment(2).endswith(", threads 3\n")


@pytest.mark.faults
def test_a_failed_run_is_retried_where_it_ran(write, sweep, tmp_path):
    file = write("runs: [[optimizer.lr=1.0e30]]")
    for options in (("--local", 2), ("--retry", "failed")):
        said = sweep(file, *options)
        assert said.code == 1
        assert "[1/1]" in said.out
    assert len(list(tmp_path.glob("runs/sweeps/tiny/launches/*"))) == 2


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["SIGTERM", "SIGHUP"])
def test_a_stopped_sweep_saves_and_starts_no_more(write, tmp_path, number):
    """A signal to sweep.py: what runs saves and stops, what waits does not begin."""
    file = write("grid: {seed: [0, 1]}", overrides=("trainer.max_epochs=500",))
    command = [sys.executable, str(ROOT / "scripts" / "sweep.py"), str(file), "--local", "1"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # tests that nohup started inherit an ignored SIGHUP
    )
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("runs/*/*/metrics.csv")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    beside = subprocess.run([*command[:3], "--cancel"], capture_output=True, text=True)
    assert "press Ctrl-C where sweep.py --local was started" in beside.stdout
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 75, out
    assert statuses(tmp_path) == ["interrupted"]
    assert "tiny: 2 runs: 1 pending, 1 stopped" in out


@pytest.mark.parametrize("options", [("--local", 2), ("--retry", "failed", "--local", 1)])
def test_a_sweep_that_asks_for_a_gpu_does_not_train_on_the_cpu(write, sweep, tmp_path, options, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    file = write("grid: {seed: [0]}", overrides=("trainer.accelerator=gpu",))
    if "--retry" in options:
        folder = next(line for line in sweep(file, "--list").out.splitlines()).split("\t")[1]
        Path(folder).mkdir(parents=True)
        (Path(folder) / "results.json").write_text('{"status": "failed"}')
    said = sweep(file, *options)
    assert said.code == 2
    assert "tiny asks for a GPU" in said.err
    assert statuses(tmp_path) in ([], ["failed"])


def test_every_sweep_but_smoke_asks_for_a_gpu(sweep):
    for name in ("paper", "density"):
        assert "resources=gpu1" in (ROOT / "configs" / "sweep" / f"{name}.yaml").read_text()
    assert "trainer.accelerator=auto" in sweep("smoke", "--list").out
