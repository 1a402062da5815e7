"""A sweep on a cluster: submitted as an array of jobs, and cancelled."""

import shutil
import time
from pathlib import Path

from wconv.experiment.sweep import slurm
from wconv.experiment.sweep.launch import Launch, launches, new_launch
from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.script import fill, rows_per_task


def submit(sweep: Sweep, rows: list[Row], root: Path) -> Launch:
    """Submit runs as one array; the batch file is kept beside them.

    Raises:
        ValueError: SLURM refuses it, and which setting it means; nothing was submitted.
    """
    launch = prepare(sweep, rows, root)
    try:
        job = slurm.submit(launch.folder / "job.sbatch", sweep.settings.cluster, sweep.settings.resources)
    except ValueError:
        shutil.rmtree(launch.folder)
        raise
    with (launch.folder / "jobs").open("a") as file:
        file.write(f"{job.split(';')[0]}\n")
    return launch


def prepare(sweep: Sweep, rows: list[Row], root: Path) -> Launch:
    """Write the folder of a launch with its batch file, and ask SLURM whether it would take it.

    Raises:
        ValueError: it would not, and which setting it means.
    """
    slurm.check_time(sweep.settings.cluster, sweep.settings.resources)
    launch = new_launch(sweep.folder, rows, rows_per_task(sweep, len(rows)))
    try:
        script = launch.folder / "job.sbatch"
        script.write_text(fill(sweep, launch, root))
        slurm.submit(script, sweep.settings.cluster, sweep.settings.resources, "--test-only")
    except ValueError:
        shutil.rmtree(launch.folder)
        raise
    return launch


def cancel(sweep: Sweep) -> list[str]:
    """End all jobs of a sweep: first the chains, so that no link follows, then what waits or runs.

    Returns:
        The ids of the jobs that were cancelled.
    """
    found = [launch for launch in launches(sweep.folder) if launch.jobs]
    for launch in found:
        (launch.folder / "stop").touch()
    cancelled: list[str] = []
    for _ in range(5):  # a link that was on its way when its chain was ended shows up a moment later
        at_work = {job for job, _ in slurm.queue()}
        alive = [job for launch in found for job in launch.jobs if job in at_work and job not in cancelled]
        if alive:
            slurm.call("scancel", *alive)
            cancelled += alive
        elif not cancelled:
            break
        time.sleep(1)
    return cancelled
