"""The launches of a sweep: a folder each, with its rows, its logs and the exit code of each row.

launches/001/
    rows.tsv        task, folder and arguments of each run, one line each
    ended/TASK      "row exit-code" for each row that ended
    logs/           one file per run
    job.sbatch      on a cluster: the batch file as it was submitted
    jobs            on a cluster: ids of its jobs, the links of a chain in order
    links/          on a cluster: a folder for each link of the chain, made by the task that submits it
    stopped/        on a cluster: a file for each task that a user has cancelled; no link resumes it
    stop            on a cluster: the launch was cancelled, and no further job may follow
    .lock           on this machine: locked as long as the launch runs
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock, Timeout

from wconv.experiment.sweep.manifest import Row

LOCK = ".lock"


@dataclass(frozen=True)
class Launch:
    """Rows that were started together.

    Args:
        folder: see above.
    """

    folder: Path

    @cached_property
    def rows(self) -> list[tuple[int, str]]:
        """The task and the folder of each run."""
        lines = (self.folder / "rows.tsv").read_text().splitlines()
        return [(int(task), directory) for task, directory, _ in (line.split("\t") for line in lines)]

    @property
    def jobs(self) -> list[str]:
        """Ids of its jobs; empty if it runs on this machine."""
        path = self.folder / "jobs"
        return path.read_text().split() if path.exists() else []

    @property
    def is_local(self) -> bool:
        """Whether this is a launch on one machine, without SLURM."""
        return (self.folder / LOCK).exists()

    @property
    def is_running_locally(self) -> bool:
        """Whether a process on this machine is running it."""
        if not self.is_local:
            return False
        try:
            with FileLock(self.folder / LOCK).acquire(timeout=0):
                return False
        except Timeout:
            return True

    def exit_codes(self) -> dict[int, int]:
        """Return the exit code of each row that ended."""
        codes = {}
        for path in (self.folder / "ended").glob("*"):
            for line in path.read_text().splitlines():
                row, _, code = line.partition(" ")
                codes[int(row)] = int(code)
        return codes

    def log(self, directory: Path) -> Path:
        """Return the log file of a run."""
        return self.folder / "logs" / f"{directory.name}.log"

    def last_error_message(self, directory: Path) -> str:
        """Return the last error message of train.py for a run."""
        lines = _last_lines(self.log(directory))
        return next((line.removeprefix("train.py: ") for line in lines[::-1] if line.startswith("train.py: ")), "")

    def last_job_message(self, task: int) -> str:
        """Return the last line that the batch job of a task printed."""
        logs = [path for job in self.jobs for path in self.folder.glob(f"logs/job-{job}*.log")]
        of_task = [path for path in logs if path.stem.endswith(f"_{task}") or "_" not in path.stem]
        return next((line for path in of_task[::-1] for line in _last_lines(path)[::-1] if line.strip()), "")


def _last_lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            return file.read().decode(errors="replace").splitlines()
    except OSError:
        return []


def launches(folder: Path) -> list[Launch]:
    """Return the launches of a sweep in order; one that was interrupted before it started does not count."""
    found = [Launch(path) for path in _numbered(folder)]
    return [one for one in found if (one.folder / "rows.tsv").exists() and (one.is_local or one.jobs)]


def _numbered(folder: Path) -> list[Path]:
    paths = [path for path in folder.glob("launches/*") if path.name.isdigit()]
    return sorted(paths, key=lambda path: int(path.name))


def new_launch(folder: Path, rows: list[Row], per_task: int = 1) -> Launch:
    """Make the folder of a launch, with `per_task` rows per task."""
    number = max((int(path.name) for path in _numbered(folder)), default=0) + 1  # after the last existing one
    while True:
        path = folder / "launches" / f"{number:03}"
        try:
            path.mkdir(parents=True)
            break
        except FileExistsError:
            number += 1
    for name in ("ended", "logs"):
        (path / name).mkdir()
    lines = (f"{number // per_task}\t{row.directory}\t{row.arguments}\n" for number, row in enumerate(rows))
    (path / "rows.tsv").write_text("".join(lines))
    return Launch(path)
