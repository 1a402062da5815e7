"""The SLURM that with_cluster.sh starts, and sweeps on it through the real commands."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SWEEP = [sys.executable, str(ROOT / "scripts" / "sweep.py")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.slurm)
    # The longest first, so that no worker waits for one of them at the end.
    items.sort(key=lambda item: item.path != here / "test_walltime.py")


@pytest.fixture(autouse=True)
def cluster() -> None:
    if "SLURM_CONF" not in os.environ or shutil.which("sbatch") is None:
        why = os.environ.get("WITHOUT_SLURM", "run the tests with tests/slurm/with_cluster.sh")
        pytest.skip(f"no SLURM: {why}")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Put a command of a few words of bash in the place of another, for jobs as well."""
    folder = tmp_path / "commands"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def make(name: str, words: str) -> None:
        (folder / name).write_text(f"#!/bin/bash\n{words}\n")
        (folder / name).chmod(0o755)

    return make


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a command of SLURM or Python; what it prints comes back."""
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300)


def wait_until(holds: Callable[[], object], seconds: float = 150, what: str = "") -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what or holds} did not come true in {seconds} s\n{run('squeue').stdout}"
        time.sleep(0.3)


class ClusterSweep:
    """A sweep on the cluster.

    Args:
        file: of the sweep, or its name.
        output_dir: of its runs.
        overrides: of every run.
    """

    def __init__(self, file: Path | str, output_dir: Path, *overrides: str) -> None:
        self.name = Path(file).stem
        self.output_dir = output_dir
        self.words = [str(file), f"paths.output_dir={output_dir}", *overrides]

    def call(self, *options: str) -> str:
        done = run(*SWEEP, *self.words, *options)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def refused(self) -> str:
        done = run(*SWEEP, *self.words, "--submit")
        assert done.returncode == 2, done.stdout
        assert done.stderr.count("\n") == 1
        return done.stderr

    @property
    def launches(self) -> Path:
        return self.output_dir / "sweeps" / self.name / "launches"

    @property
    def jobs(self) -> list[str]:
        return [job for path in sorted(self.launches.glob("*/jobs")) for job in path.read_text().split()]

    @property
    def at_work(self) -> list[str]:
        """Its tasks that wait or run."""
        queued = run("squeue", "--noheader", "--array", "--format=%F").stdout.split()
        return [job for job in queued if job in self.jobs]

    @property
    def runs(self) -> list[Path]:
        return sorted(path for path in self.output_dir.glob("*/*-s*") if path.is_dir())

    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self.launches.glob("*/logs/*")))

    def until_over(self, seconds: float = 180) -> None:
        wait_until(lambda: not self.at_work, seconds, "an empty queue")

    def most_at_once(self, seconds: float) -> int:
        """Wait until it is over, and return how many of its tasks ran beside each other at most."""
        most = 0

        def over() -> bool:
            nonlocal most
            running = run("squeue", "--noheader", "--array", "--states=RUNNING", "--format=%F").stdout.split()
            most = max(most, sum(job in self.jobs for job in running))
            return not self.at_work

        wait_until(over, seconds)
        return most

    def until_epoch(self, epochs: int = 1) -> None:
        """Wait until a run has completed some epochs."""

        def trained() -> bool:
            tables = [path / "metrics.csv" for path in self.runs]
            return any(table.exists() and len(table.read_text().splitlines()) > epochs for table in tables)

        wait_until(trained, what=f"{epochs} epochs\n{self.logs()}")
