"""Who holds a run folder: on this host, on another, on file systems without flock."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from wconv.experiment.common.exceptions import Interrupted
from wconv.experiment.runs import lock
from wconv.experiment.runs.lock import acquire_lock


@pytest.fixture(autouse=True)
def no_job(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_flock(monkeypatch):
    """The file system has no flock."""

    def acquire(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(FileLock, "acquire", acquire)


def write_owner(folder, **owner):
    (folder / ".lock.owner").write_text(json.dumps(owner))


def read_owner(folder):
    return json.loads((folder / ".lock.owner").read_text())


def is_free(folder) -> bool:
    try:
        with acquire_lock(folder):
            assert read_owner(folder)["pid"] == os.getpid()
    except Interrupted:
        return False
    assert not (folder / ".lock.owner").exists()
    return True


def test_the_owner_is_written_down_and_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    with acquire_lock(tmp_path):
        owner = read_owner(tmp_path)
        assert (owner["host"], owner["pid"], owner["job"]) == (socket.gethostname(), os.getpid(), "77")
        assert time.time() - owner["heartbeat"] < 5
    assert not (tmp_path / ".lock.owner").exists()


def test_a_second_process_names_the_first(tmp_path):
    imports = "from wconv.experiment.runs.lock import acquire_lock; from pathlib import Path"
    hold = f"{imports}\nwith acquire_lock(Path({str(tmp_path)!r})):"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{hold} print('held', flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Interrupted, match=f"is held by process {process.pid} on {socket.gethostname()}"):
        acquire_lock(tmp_path).__enter__()
    process.kill()
    process.wait()
    assert read_owner(tmp_path)["pid"] == process.pid  # it could not tidy up
    assert is_free(tmp_path)


def test_the_heartbeat_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "HEARTBEAT", 0.02)
    with acquire_lock(tmp_path):
        first = read_owner(tmp_path)["heartbeat"]
        deadline = time.monotonic() + 10
        while read_owner(tmp_path)["heartbeat"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize(("age", "free"), [(0, False), (540, False), (660, True)])
def test_a_process_on_another_host_counts_by_its_heartbeat(age, free, tmp_path):
    write_owner(tmp_path, host="elsewhere", pid=1, job="5", heartbeat=time.time() - age)
    assert is_free(tmp_path) is free
    if not free:
        with pytest.raises(Interrupted, match=r"process 1 on elsewhere \(SLURM job 5\)"):
            acquire_lock(tmp_path).__enter__()


def test_a_job_that_was_requeued_does_not_wait_for_itself(tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "5")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    write_owner(tmp_path, host="elsewhere", pid=1, job="5", restart="1", heartbeat=time.time())
    assert not is_free(tmp_path)
    write_owner(tmp_path, host="elsewhere", pid=1, job="5", restart="0", heartbeat=time.time())
    assert is_free(tmp_path)
    write_owner(tmp_path, host="elsewhere", pid=1, job="6", restart="0", heartbeat=time.time())
    assert not is_free(tmp_path)


def test_without_flock_a_living_process_of_this_host_holds_and_a_dead_one_does_not(tmp_path, no_flock):
    process = subprocess.Popen(["sleep", "60"])
    write_owner(tmp_path, host=socket.gethostname(), pid=process.pid, heartbeat=time.time())
    assert not is_free(tmp_path)
    process.kill()
    process.wait()
    assert is_free(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "null", "[1]", "{", '{"host": 3}', '{"host": "x", "pid": "y", "heartbeat": "z"}']
)
def test_a_damaged_owner_is_none(content, tmp_path):
    (tmp_path / ".lock.owner").write_text(content)
    assert is_free(tmp_path)
