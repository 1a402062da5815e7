"""The state of every run of a sweep, from its folder, its last launch and the queue."""

import math
import shutil
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wconv.experiment.common.metrics import PRIMARY, TASKS
from wconv.experiment.runs.run_files import read_results, read_rows
from wconv.experiment.sweep.launches import Launch, launches
from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.slurm import commands as slurm

KINDS = ("running", "failed", "stopped", "pending", "done")
BROKEN = ("FAILED", "OUT_OF_MEMORY")  # SLURM states of jobs that would fail again
WATCHED = tuple(task.monitor for task in TASKS.values())


@dataclass
class State:
    """The state of a run.

    Attributes:
        row: the run.
        kind: done, running, failed, stopped (it can be resumed) or pending.
        note: why it failed, stopped or waits.
        queued: whether a job or process that is already started will run it.
        epoch: number of completed epochs.
        metric: the monitored metric, e.g. "val/acc 0.5123"; for a finished run, the test metric.
        epoch_seconds: duration of an epoch, if known.
    """

    row: Row
    kind: str
    note: str = ""
    queued: bool = False
    epoch: int = 0
    metric: str = ""
    epoch_seconds: float = math.nan


@dataclass
class _LastLaunch:
    """The last launch of a run."""

    launch: Launch
    number: int
    task_number: int
    code: int | None
    here: bool
    task: slurm.Queued | None
    final_state: str


def run_states(sweep: Sweep) -> list[State]:
    """Return the state of each run."""
    found = launches(sweep.folder)
    # A sweep folder copied to a machine without SLURM can still be inspected.
    asked = any(launch.jobs for launch in found) and shutil.which("squeue")
    queue = slurm.queue() if asked else {}
    last_launches = _last_launches(found, queue)
    jobs = {task.job for task in queue.values()} if asked else None
    return [_state(row, last_launches.get(str(row.directory)), jobs) for row in sweep.rows]


def _last_launches(found: list[Launch], queue: dict[tuple[str, int], slurm.Queued]) -> dict[str, _LastLaunch]:
    on_cluster = [launch for launch in found if launch.jobs]
    gone = [job for launch in on_cluster for job in launch.jobs if not any(job == queued for queued, _ in queue)]
    final_states = slurm.final_states(gone)
    last_launches = {}
    for launch in found:
        jobs, codes, here = launch.jobs, launch.exit_codes(), launch.is_running_locally
        for number, (task, directory) in enumerate(launch.rows):
            # Of a chain, the queued or running link, or else the last one that SLURM knows.
            links = [queue[job, task] for job in jobs[::-1] if (job, task) in queue]
            queued = min(links, key=lambda link: link.waits, default=None)
            final_state = next((final_states[job, task] for job in jobs[::-1] if (job, task) in final_states), "")
            last_launches[directory] = _LastLaunch(launch, number, task, codes.get(number), here, queued, final_state)
    return last_launches


def _state(row: Row, last: _LastLaunch | None, jobs: set[str] | None) -> State:
    results = _results(row.directory)
    status = results.get("status")
    if status == "completed":
        return _done(row, results)
    at_work = last is not None and last.code is None and (last.here or last.task is not None)
    if at_work:
        assert last is not None
        if last.task is not None and last.task.waits:
            return _progress(State(row, "pending", last.task.words, True))
        if status == "running":
            return _progress(State(row, "running", "", True))
        return _progress(State(row, "pending", "starts, or waits for its turn", True))
    if status == "running" and (holder := _holder(row.directory, jobs)):
        return _progress(State(row, "running", f"started elsewhere: {holder}", True))
    code = last.code if last else None
    if status == "failed" or code:
        words = last.launch.last_error_message(row.directory) if last else ""
        killed = f"killed by signal {code - 128}" if code and code > 128 else f"exit code {code}"
        return _progress(State(row, "failed", str(results.get("error") or words or killed)))
    if status == "interrupted":
        return _progress(State(row, "stopped", "can be resumed"))
    on_cluster = last is not None and bool(last.launch.jobs)
    ending = (
        f"its job ended ({last.final_state})"
        if last and last.final_state
        else f"its {'job' if on_cluster else 'process'} is gone"
    )
    if status == "running":
        return _progress(State(row, "stopped", f"{ending}; can be resumed"))
    if on_cluster and last is not None:
        if last.final_state in BROKEN:  # failed before the run: in the batch file or its modules
            words = last.launch.last_job_message(last.task_number)
            return State(row, "failed", f"{ending} before it began" + (f": {words}" if words else ""))
        return State(row, "stopped", f"{ending} before it began")
    return State(row, "pending", "not started")


def _holder(directory: Path, jobs: set[str] | None) -> str:
    """Return the process outside this sweep that holds a run; empty if there is none."""
    if not (directory / ".lock.owner").exists():
        return ""
    from wconv.experiment.runs import lock  # slow to import, and rarely needed

    owner = lock.read_owner(directory)
    job = owner.get("job")
    lives = job in jobs if job and jobs is not None else lock.owner_is_alive(owner)
    return lock.describe_owner(owner) if lives else ""


def _results(directory: Path) -> dict[str, Any]:
    try:
        return read_results(directory)
    except (OSError, ValueError):
        return {}


def _done(row: Row, results: dict[str, Any]) -> State:
    metrics, epochs = results.get("metrics") or {}, results.get("epochs") or 0
    tested = [f"test/{name}" for name in PRIMARY if metrics.get(f"test/{name}") is not None]
    metric = "".join(f"{name} {float(metrics[name]):.4g}" for name in tested[:1])
    each = results.get("seconds", math.nan) / epochs if epochs else math.nan
    return State(row, "done", epoch=epochs, metric=metric, epoch_seconds=each)


def _progress(state: State) -> State:
    """Add the progress of the run."""
    if rows := read_rows(state.row.directory / "metrics.csv"):
        state.epoch = int(float(rows[-1].get("epoch") or 0)) + 1
        state.metric = next((f"{name} {float(rows[-1][name]):.4g}" for name in WATCHED if rows[-1].get(name)), "")
    if times := read_rows(state.row.directory / "timing.csv"):
        state.epoch_seconds = sum(float(row["seconds"]) for row in times) / len(times)
    return state


def format_counts(found: Iterable[State]) -> str:
    """Format the number of runs in each state."""
    numbers = Counter(state.kind for state in found)
    return ", ".join(f"{numbers[kind]} {kind}" for kind in KINDS[::-1] if numbers[kind])


def seconds_left(found: list[State]) -> float:
    """Estimate the remaining time at the current number of parallel runs; NaN if unknown."""
    by_model: dict[str, list[float]] = {}
    for state in found:
        if not math.isnan(state.epoch_seconds):
            by_model.setdefault(state.row.model, []).append(state.epoch_seconds)
    means = {model: sum(times) / len(times) for model, times in by_model.items()}
    rest = [
        (state.row.epochs - state.epoch) * (state.epoch_seconds if state.epoch_seconds == state.epoch_seconds else mean)
        for state in found
        if state.kind not in ("done", "failed")
        for mean in [means.get(state.row.model, math.nan)]
    ]
    return sum(rest) / max(1, sum(state.kind == "running" for state in found))
