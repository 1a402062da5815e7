"""How a run stands follows from its folder, its last launch and the queue."""

import json
import math
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from filelock import FileLock

from wconv.experiment.common.text import format_duration
from wconv.experiment.sweep import state, status_table
from wconv.experiment.sweep.launches import LOCK, Launch, launches, new_launch
from wconv.experiment.sweep.manifest import Row, Settings, Sweep
from wconv.experiment.sweep.slurm import commands as slurm
from wconv.experiment.sweep.state import State, run_states, seconds_left


@pytest.fixture
def some(tmp_path: Path) -> Sweep:
    rows = [Row(tmp_path / f"vgg-s{seed}", "vgg", 10, f"seed={seed}") for seed in range(2)]
    return Sweep("some", tmp_path / "sweeps" / "some", rows, Settings({}))


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, int], slurm.Queued]:
    """A queue to be filled by the test, in place of that of squeue."""
    tasks: dict[tuple[str, int], slurm.Queued] = {}
    monkeypatch.setattr(slurm, "queue", lambda: tasks)
    monkeypatch.setattr(slurm, "final_states", lambda jobs: {(job, 0): "CANCELLED" for job in jobs})
    monkeypatch.setattr(state.shutil, "which", lambda program: f"/usr/bin/{program}")
    return tasks


def leave(row: Row, status: str, **more: object) -> None:
    row.directory.mkdir(exist_ok=True)
    (row.directory / "results.json").write_text(json.dumps({"status": status, **more}))


def submitted(sweep: Sweep, *jobs: str) -> Launch:
    launch = new_launch(sweep.folder, sweep.rows, per_task=2)
    (launch.folder / "jobs").write_text("\n".join(jobs))
    return launch


def first(sweep: Sweep) -> tuple[str, str]:
    found = run_states(sweep)[0]
    return found.kind, found.note


def test_nothing_is_there_yet(some):
    assert first(some) == ("pending", "not started")


def test_a_finished_run_shows_what_it_scored(some):
    leave(some.rows[0], "completed", metrics={"test/acc": 0.51}, epochs=10, seconds=50.0)
    found = run_states(some)[0]
    assert (found.kind, found.metric, found.epoch, found.epoch_seconds) == ("done", "test/acc 0.51", 10, 5)


def test_a_run_that_another_process_finished_is_done_whatever_its_launch_says(some, queue):
    launch = submitted(some, "7")
    (launch.folder / "ended" / "0").write_text("0 1\n")
    leave(some.rows[0], "completed", metrics={}, epochs=10, seconds=50.0)
    assert first(some) == ("done", "")


def test_in_the_queue(some, queue):
    submitted(some, "7")
    queue["7", 0] = slurm.Queued("PENDING", "Resources")
    assert first(some) == ("pending", "in the queue, next when there is room")
    assert run_states(some)[1].queued  # of the same task


def test_running_with_epoch_metric_and_time(some, queue):
    submitted(some, "7")
    queue["7", 0] = slurm.Queued("RUNNING", "None")
    leave(some.rows[0], "running")
    (some.rows[0].directory / "metrics.csv").write_text("epoch,step,val/acc\n0,10,0.25\n1,20,0.5\n")
    (some.rows[0].directory / "timing.csv").write_text("epoch,seconds\n0,3\n1,5\n")
    found = run_states(some)
    assert (found[0].kind, found[0].epoch, found[0].metric, found[0].epoch_seconds) == ("running", 2, "val/acc 0.5", 4)
    assert (found[1].kind, found[1].note) == ("pending", "starts, or waits for its turn")
    assert seconds_left(found) == 8 * 4 + 10 * 4


def test_the_last_link_of_a_chain_counts(some, queue):
    submitted(some, "7", "9")
    queue["9", 0] = slurm.Queued("PENDING", "Dependency")
    leave(some.rows[0], "interrupted")
    assert first(some) == ("pending", "in the queue, after the job before it")


def test_a_run_is_at_work_though_the_next_link_waits_already(some, queue):
    submitted(some, "7", "8")
    leave(some.rows[0], "running")
    queue["7", 0], queue["8", 0] = slurm.Queued("RUNNING", "None"), slurm.Queued("PENDING", "Dependency")
    assert first(some)[0] == "running"


def test_a_job_that_failed_before_a_run_began_says_why(some, queue, monkeypatch):
    """And is started again only by --retry failed, because it would end so again."""
    launch = submitted(some, "7")
    monkeypatch.setattr(slurm, "final_states", lambda jobs: {("7", 0): "FAILED"})
    (launch.folder / "logs" / "job-7_1.log").write_text("of another task\n")
    (launch.folder / "logs" / "job-7_0.log").write_text("loading\nno module python/3.99\n\n")
    assert first(some) == ("failed", "its job ended (FAILED) before it began: no module python/3.99")


def test_a_run_that_somebody_else_started_is_left_to_them(some, queue):
    """As a process of this machine, as a process of another one, as a job of another sweep."""
    submitted(some, "7")
    leave(some.rows[0], "running")
    owner = some.rows[0].directory / ".lock.owner"
    alive = {"host": socket.gethostname(), "pid": os.getpid()}
    for who in (alive, {"host": "else", "pid": 1, "heartbeat": time.time()}, {"host": "else", "pid": 1, "job": "71"}):
        queue["70", 0] = slurm.Queued("RUNNING", "None", "71")
        owner.write_text(json.dumps(who))
        found = run_states(some)[0]
        assert (found.kind, found.queued) == ("running", True)
        assert f"started elsewhere: process {who['pid']} on {who['host']}" in found.note
        queue.clear()
    ended = subprocess.Popen(["true"])
    ended.wait()
    gone = alive | {"pid": ended.pid}
    for who in (gone, {"host": "else", "pid": 1, "heartbeat": 0}, {"job": "71", "heartbeat": time.time()}, {}):
        owner.write_text(json.dumps(who))
        assert first(some)[0] == "stopped", who


def test_a_launch_that_was_interrupted_before_it_began_is_none(some, queue):
    submitted(some, "7")
    queue["7", 0] = slurm.Queued("RUNNING", "None")
    new_launch(some.folder, some.rows)  # Ctrl-C before sbatch has answered
    assert [one.folder.name for one in launches(some.folder)] == ["001"]
    assert run_states(some)[0].queued


def test_numbers_of_launches_are_not_used_twice(some):
    made = [submitted(some, "7").folder for _ in range(3)]
    shutil.rmtree(made[0])
    assert submitted(some, "8").folder.name == "004"
    (made[1].parent / "1000").mkdir()
    assert submitted(some, "9").folder.name == "1001"
    assert [one.folder.name for one in launches(some.folder)] == ["002", "003", "004", "1001"]


def test_a_command_that_does_not_answer_is_named(monkeypatch, tmp_path):
    (tmp_path / "squeue").write_text("#!/bin/bash\nexec sleep 60\n")
    (tmp_path / "squeue").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "PATIENCE_SECONDS", 0.2)
    with pytest.raises(ValueError, match=r"squeue did not answer within 0.2 s; try again later"):
        slurm.queue()


def test_failed_says_why(some, queue):
    leave(some.rows[0], "failed", error="the roof is on fire")
    assert first(some) == ("failed", "the roof is on fire")


def test_a_refused_configuration_fails_with_the_last_words_of_its_log(some, queue):
    launch = submitted(some, "7")
    (launch.folder / "ended" / "0").write_text("0 2\n")
    launch.log(some.rows[0].directory).write_text("warning: something\ntrain.py: no data there\nsrun: error: 2\n")
    assert first(some) == ("failed", "no data there")


def test_a_run_that_was_killed_says_by_what(some, queue):
    launch = submitted(some, "7")
    queue["7", 0] = slurm.Queued("RUNNING", "None")  # with the other row of the task
    (launch.folder / "ended" / "0").write_text("0 137\n")
    leave(some.rows[0], "running")
    assert first(some) == ("failed", "killed by signal 9")


def test_a_job_that_is_gone_leaves_its_runs_stopped(some, queue):
    submitted(some, "7")
    assert first(some) == ("stopped", "its job ended (CANCELLED) before it began")
    leave(some.rows[0], "running")
    assert first(some) == ("stopped", "its job ended (CANCELLED); can be resumed")
    leave(some.rows[0], "interrupted")
    assert first(some) == ("stopped", "can be resumed")


def test_fates_are_read_as_sacct_writes_them(monkeypatch):
    lines = ["7_1|COMPLETED", "7_[3,5-6%2]|CANCELLED by 0", "8|TIMEOUT", "9_[1,3,...]|FAILED", "nothing|of use"]
    monkeypatch.setattr(slurm, "run_slurm", lambda *command: "\n".join(lines))
    cancelled = {("7", task): "CANCELLED" for task in (3, 5, 6)}
    cut = {("9", 1): "FAILED", ("9", 3): "FAILED"}
    assert slurm.final_states(["7", "8", "9"]) == {("7", 1): "COMPLETED", ("8", 0): "TIMEOUT", **cancelled, **cut}


def test_of_a_retried_run_the_last_launch_counts(some, queue):
    launch = submitted(some, "7")
    (launch.folder / "ended" / "0").write_text("0 1\n")
    leave(some.rows[0], "failed", error="before")
    submitted(some, "8")
    queue["8", 0] = slurm.Queued("PENDING", "Priority")
    assert first(some) == ("pending", "in the queue behind others")


def test_a_launch_on_this_machine_is_at_work_while_its_lock_is_held(some):
    launch = new_launch(some.folder, some.rows)
    leave(some.rows[0], "running")
    with FileLock(launch.folder / LOCK):
        assert first(some)[0] == "running"
    assert first(some) == ("stopped", "its process is gone; can be resumed")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"status": '])
def test_results_that_cannot_be_read_are_none(some, content):
    some.rows[0].directory.mkdir()
    (some.rows[0].directory / "results.json").write_text(content)
    assert first(some) == ("pending", "not started")


def test_the_time_left_is_unknown_before_an_epoch_is_over(some):
    assert math.isnan(seconds_left(run_states(some)))


def test_ten_thousand_runs_are_looked_at_within_five_seconds(tmp_path, capsys):
    rows = [Row(tmp_path / f"run{number}", "vgg", 10, "seed=0") for number in range(10_000)]
    for row in rows[:8_000]:
        leave(row, "completed", metrics={"test/acc": 0.5}, epochs=10, seconds=50.0)
    sweep = Sweep("many", tmp_path / "sweeps" / "many", rows, Settings({"cluster": {}}))
    (new_launch(sweep.folder, rows, per_task=10).folder / LOCK).touch()
    sweep.write()
    start = time.process_time()
    status_table.print_states("many", run_states(sweep))
    assert time.process_time() - start < 4  # and one for the imports
    assert "many: 10,000 runs: 8000 done, 2000 pending" in capsys.readouterr().out


def test_the_picture_counts_what_it_does_not_show(capsys):
    row = Row(Path("vgg-s0"), "vgg", 10, "")
    status_table.print_states("some", [State(row, "done") for _ in range(30)] + [State(row, "failed", "a reason")])
    out = capsys.readouterr().out
    assert "... and 5 more" in out
    assert "some: 31 runs: 30 done, 1 failed" in out


def test_the_picture_tells_runs_apart_that_have_like_names(capsys):
    both = "experiment=quickstart 'paths.output_dir=a b' model=vgg"
    lines = [f"{both} conv=weighted 'conv.density.k3=[0.5]'", f"{both} conv=standard init=pytorch seed=1"]
    status_table.print_states(
        "some", [State(Row(Path("vgg"), "vgg", 10, line), "pending", "not started") for line in lines]
    )
    shown = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[1:3]]
    assert shown == ["vgg pending conv.density.k3=[0.5] not started", "vgg pending init=pytorch not started"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(math.nan, ""), (0, ""), (42, "42 s"), (600, "10 min"), (7200, "2 h"), (400_000, "4.6 days")],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert format_duration(seconds) == text
