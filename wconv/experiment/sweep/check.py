"""Checks before a sweep is submitted, at no cost: data, environment, SLURM, estimated time."""

import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.common.failures import configuration_errors
from wconv.experiment.sweep.estimate import compare_with_walltime, estimates
from wconv.experiment.sweep.expand import by_workload, datasets
from wconv.experiment.sweep.manifest import Sweep
from wconv.experiment.sweep.slurm import commands as slurm
from wconv.experiment.sweep.slurm import submit
from wconv.experiment.sweep.slurm.batch_file import rows_per_task
from wconv.experiment.sweep.state import run_states

IMPORTS = "import train; import torch; print(torch.__version__, torch.cuda.device_count())"
PROBE_WALLTIME = "00:02:00"
IMPORT_SECONDS = 300
WAIT_SECONDS = 900


def check(sweep: Sweep, root: Path, *, probe: bool) -> int:
    """Check data, environment, account and time of a sweep; print a line on each.

    Args:
        sweep: what to check.
        root: folder of train.py.
        probe: also submit a job of two minutes that tests the environment on a compute node.

    Returns:
        0 if all is well, else 2.
    """
    parts: dict[str, Callable[[], Iterator[str]]] = {
        "data": lambda: _data(sweep, root),
        "environment": lambda: _environment(sweep, root),
        "SLURM": lambda: _slurm(sweep, root),
        "cost": lambda: _cost(sweep, root),
    }
    if probe:
        parts["probe"] = lambda: _probe(sweep, root)
    wrong = 0
    for name, part in parts.items():
        try:
            for line in part():
                print(f"{name:12}{line}", flush=True)
        except (ValueError, OSError, ConfigError) as error:
            wrong += 1
            print(f"{name:12}WRONG: {error}", flush=True)
    print(f"{sweep.name}: " + (f"{wrong} of {len(parts)} checks failed" if wrong else "ready to be submitted"))
    return 2 if wrong else 0


def _data(sweep: Sweep, root: Path) -> Iterator[str]:
    """Read every data set, which verifies it."""
    wrong = []
    for name, data in datasets(sweep.rows, root):
        start = time.monotonic()
        try:
            with configuration_errors():
                data.load()
        except ConfigError as error:
            wrong.append(f"{name}: {error}")
        else:
            yield f"{name}: there and verified, read in {time.monotonic() - start:.0f} s"
    if wrong:
        raise ConfigError("; ".join(wrong))


def _environment(sweep: Sweep, root: Path) -> Iterator[str]:
    """Import everything that a run needs, with the interpreter and the modules of the jobs."""
    python = str(sweep.settings.cluster["python"] or sys.executable)
    modules = shlex.join(sweep.settings.cluster["modules"])
    load = f"if command -v module >/dev/null; then module load {modules} || exit 1; fi; " if modules else ""
    line = ["bash", "-c", f'{load}exec "$0" -c "$1"', python, IMPORTS]
    try:
        done = subprocess.run(line, cwd=root, capture_output=True, text=True, timeout=IMPORT_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{python} took more than {IMPORT_SECONDS} s to import what a run needs") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it ended without a word"])[-1]
        raise ValueError(f"{python} cannot import what a run needs ({last}); set cluster.python or cluster.modules")
    yield f"{python}: torch {done.stdout.split()[0]} and all that a run imports"


def _slurm(sweep: Sweep, root: Path) -> Iterator[str]:
    """Let SLURM validate the batch file without submitting it (`--test-only`)."""
    if sweep.settings.cluster["name"] == "local" and shutil.which("sbatch") is None:
        yield "there is none here; --local N runs the sweep without"
        return
    submit.ask_slurm(sweep, sweep.rows, root)
    shown = {f"cluster.{name}": sweep.settings.cluster[name] for name in ("account", "partition", "qos")}
    yield "sbatch would take it: " + ", ".join(f"{key}={value or 'default'}" for key, value in shown.items())


def _cost(sweep: Sweep, root: Path) -> Iterator[str]:
    """Estimate core-hours, and compare the longest job with the walltime."""
    rows = [state.row for state in run_states(sweep) if state.kind != "done"]
    if not rows:
        yield "nothing is left to run"
        return
    work = by_workload(rows, root)
    found = estimates(sweep, work, [sweep.folder.parents[1], *sorted((root / "runs").glob("*/")), root / "runs"])
    for one in found:
        yield one.description
    shared = sweep.settings.runs_per_gpu
    if shared > 1:
        yield f"{shared} runs share a GPU and its cost; how much slower this makes each is not known from finished runs"
    per_job = rows_per_task(sweep, len(rows)) / (int(sweep.settings.resources["runs_at_once"]) * shared)
    yield compare_with_walltime(sweep, found, per_job)


def _probe(sweep: Sweep, root: Path) -> Iterator[str]:
    """Test the environment on a compute node, in a job with the resources of the sweep."""
    cluster = sweep.settings.cluster | {"qos": sweep.settings.cluster["probe_qos"] or sweep.settings.cluster["qos"]}
    resources = sweep.settings.resources | {"walltime": PROBE_WALLTIME}
    python = str(cluster["python"] or sys.executable)
    modules = shlex.join(cluster["modules"])
    load = f"if command -v module >/dev/null; then module load {modules} || exit 1; fi\n" if modules else ""
    exports = "".join(f"export {shlex.quote(f'{name}={value}')}\n" for name, value in cluster["environment"].items())
    folder = sweep.folder / "probe"
    folder.mkdir(parents=True, exist_ok=True)
    script, log = folder / "job.sbatch", folder / "log"
    run = shlex.join([python, "-c", IMPORTS])
    script.write_text(f"#!/bin/bash\ncd {shlex.quote(str(root))} || exit 1\n{load}{exports}{run}\n")
    log.unlink(missing_ok=True)
    more = {"job-name": f"wconv-probe-{sweep.name}", "output": str(log).replace("%", "%%")}
    job = slurm.submit(script, cluster, resources, *slurm.options(cluster, resources, **more))
    yield f"job {job}, two minutes at most; waiting for it"
    deadline = time.monotonic() + WAIT_SECONDS
    while any(queued == job for queued, _ in slurm.queue()):
        if time.monotonic() > deadline:
            raise ValueError(f"job {job} still waits or runs after {WAIT_SECONDS // 60} minutes; its log will be {log}")
        time.sleep(2)
    last = (log.read_text().strip().splitlines() if log.exists() else [""])[-1]
    words = last.split()
    if len(words) != 2 or not words[1].isdigit():
        raise ValueError(f"job {job} could not import what a run needs: {last or 'it printed nothing'} (see {log})")
    if sweep.settings.asks_for_gpu and words[1] == "0":
        raise ValueError(f"job {job} saw no GPU, and the sweep asks for one; see resources.gpus and cluster.modules")
    yield f"on a compute node: torch {words[0]}, {words[1]} GPUs"
