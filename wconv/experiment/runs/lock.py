"""Lock a run folder: one process per run, with a record of the process that holds it.

The lock itself is `flock`, which ends with its process. On a cluster that is not enough: some file systems have no
flock, others only one within a node. Therefore the owner is recorded as well, with a heartbeat.
"""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from wconv.experiment.common.exceptions import Interrupted
from wconv.experiment.common.files import write_atomically

LOCK, OWNER = ".lock", ".lock.owner"
HEARTBEAT = 60.0  # seconds between two heartbeats
NAMED = 3.0  # seconds within which a process that got the lock has recorded its name
STALE = 600.0  # seconds without a heartbeat after which a process on another host counts as dead


@contextmanager
def acquire_lock(folder: Path) -> Iterator[None]:
    """Lock a folder while the context lasts.

    Raises:
        Interrupted: another process holds it; the message says which.
        OSError: the folder cannot be written.
    """
    with ExitStack() as stack:
        has_flock = True
        try:
            stack.enter_context(FileLock(folder / LOCK).acquire(timeout=0))
        except Timeout:
            raise _refusal(folder, _wait_for_owner(folder)) from None
        except NotImplementedError:  # the file system has no flock
            has_flock = False
        owner = read_owner(folder)
        if owner and not _is_stale(owner, has_flock):
            raise _refusal(folder, owner)
        me = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "job": os.environ.get("SLURM_JOB_ID"),
            "restart": os.environ.get("SLURM_RESTART_COUNT", "0"),
        }
        _write(folder, me)
        done = threading.Event()
        beating = threading.Thread(target=_beat, args=(folder, me, done), daemon=True)
        beating.start()
        try:
            yield
        finally:
            done.set()
            beating.join()
            (folder / OWNER).unlink(missing_ok=True)


def _beat(folder: Path, me: Mapping[str, Any], done: threading.Event) -> None:
    while not done.wait(HEARTBEAT):
        with suppress(OSError):  # a full disk, say, which the training itself will report
            _write(folder, me)


def _is_stale(owner: Mapping[str, Any], has_flock: bool) -> bool:
    """Tell whether the recorded owner has ended."""
    if owner.get("host") == socket.gethostname():
        return has_flock or not _is_alive(owner.get("pid"))
    job, restart = os.environ.get("SLURM_JOB_ID"), os.environ.get("SLURM_RESTART_COUNT", "0")
    if job and owner.get("job") == job and owner.get("restart") != restart:
        return True  # requeued: SLURM restarts a job only after its earlier processes have ended
    heartbeat = owner.get("heartbeat")
    return not isinstance(heartbeat, int | float) or time.time() - heartbeat > STALE


def _is_alive(pid: Any) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, TypeError, OverflowError):
        return False
    except PermissionError:  # a process of another user
        return True
    return True


def _write(folder: Path, me: Mapping[str, Any]) -> None:
    write_atomically(folder / OWNER, json.dumps({**me, "heartbeat": time.time()}).encode())


def read_owner(folder: Path) -> dict[str, Any]:
    """Return the record of the process that holds a folder, or held it last; empty if there is none."""
    with suppress(OSError, ValueError):
        content = json.loads((folder / OWNER).read_text())
        if isinstance(content, dict):
            return content
    return {}


def _wait_for_owner(folder: Path) -> dict[str, Any]:
    """Return the owner of the lock, waiting for a process that has just acquired it to record its name."""
    deadline = time.monotonic() + NAMED
    while not (owner := read_owner(folder)) or _is_stale(owner, has_flock=False):
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)
    return owner


def _refusal(folder: Path, owner: Mapping[str, Any]) -> Interrupted:
    return Interrupted(f"{folder} is held by {describe_owner(owner)}; wait for it or stop it")


def describe_owner(owner: Mapping[str, Any]) -> str:
    """Return a readable description of a process."""
    who = f"process {owner.get('pid')} on {owner.get('host')}" if owner else "an unknown process"
    return who + (f" (SLURM job {owner['job']})" if owner.get("job") else "")


def owner_is_alive(owner: Mapping[str, Any]) -> bool:
    """Tell whether the recorded owner may still be running, without touching the lock."""
    return bool(owner) and not _is_stale(owner, has_flock=False)
