"""Submit a sweep to SLURM as an array of jobs, and cancel it."""

import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from wconv.experiment.sweep.launches import Launch, launches, new_launch
from wconv.experiment.sweep.manifest import Row, Sweep
from wconv.experiment.sweep.slurm import commands as slurm
from wconv.experiment.sweep.slurm.batch_file import fill_template, rows_per_task


def submit(sweep: Sweep, rows: list[Row], root: Path) -> Launch:
    """Submit runs as one array; the batch file is kept in the folder of the launch.

    Raises:
        ValueError: SLURM refuses it (the message names the setting); nothing was submitted.
    """
    ask_slurm(sweep, rows, root)
    launch = new_launch(sweep.folder, rows, rows_per_task(sweep, len(rows)))
    try:
        script = launch.folder / "job.sbatch"
        script.write_text(fill_template(sweep, launch.folder, len(rows), root))
        job = slurm.submit(script, sweep.settings.cluster, sweep.settings.resources)
        with (launch.folder / "jobs").open("a") as file:  # the job may have added a link of a chain already
            file.write(f"{job.split(';')[0]}\n")
    except BaseException:  # also Ctrl-C: a failed submission leaves no folder
        shutil.rmtree(launch.folder)
        raise
    return launch


def ask_slurm(sweep: Sweep, rows: list[Row], root: Path) -> None:
    """Ask SLURM whether it would accept the runs.

    Raises:
        ValueError: it would not; the message names the setting.
    """
    slurm.check_time(sweep.settings.cluster, sweep.settings.resources)
    with TemporaryDirectory() as folder:
        script = Path(folder) / "job.sbatch"
        script.write_text(fill_template(sweep, sweep.folder / "launches" / "NEXT", len(rows), root))
        slurm.submit(script, sweep.settings.cluster, sweep.settings.resources, "--test-only")


def cancel(sweep: Sweep) -> list[str]:
    """Cancel all jobs of a sweep: first stop the chains, so that no link follows, then queued and running jobs.

    Returns:
        The ids of the jobs that were cancelled.
    """
    found = [launch for launch in launches(sweep.folder) if launch.jobs]
    if not found:
        return []
    for launch in found:
        (launch.folder / "stop").touch()
    cancelled: list[str] = []
    for _ in range(5):  # a link submitted just before its chain was stopped appears a moment later
        at_work = {job for job, _ in slurm.queue()}
        alive = [job for launch in found for job in launch.jobs if job in at_work and job not in cancelled]
        if alive:
            slurm.run_slurm("scancel", *alive)
            cancelled += alive
        elif not cancelled:
            break
        time.sleep(1)
    return cancelled
