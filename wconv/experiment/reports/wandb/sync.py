"""Upload the W&B records of offline runs, from a machine with a network.

`wandb sync` appends a part to its run, and would append the whole part again when it has grown. Therefore a part is
uploaded only after it is closed, and only once.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wconv.experiment.reports.wandb.parts import Part, list_parts
from wconv.experiment.runs.run_files import read_results

STALE = 600.0  # seconds without a write (system metrics come every 15) after which a part counts as closed
TIMEOUT = 540.0  # seconds for a batch


@dataclass
class PendingUploads:
    """The parts to upload below a folder.

    Attributes:
        runs: number of runs with a W&B record.
        closed: parts to upload, those of a run together and in order.
        open: parts that are still being written.
    """

    runs: int = 0
    closed: list[Part] = field(default_factory=list)
    open: list[Part] = field(default_factory=list)


def find_pending(root: Path) -> PendingUploads:
    """Find the parts to upload in a folder of runs, or in a run folder.

    Raises:
        ValueError: there is no such folder, or no W&B record in it.
    """
    found = PendingUploads()
    for directory in _run_folders(root):
        found.runs += 1
        waiting = [part for part in list_parts(directory) if not part.is_uploaded]
        if waiting and _is_written(directory, waiting[-1]):
            newest = waiting.pop()
            found.open += [newest] if newest.is_offline else []
            # An online run itself uploads what its earlier parts could not.
            waiting = [part for part in waiting if part.is_offline]
        found.closed += [part for part in waiting if not part.is_empty]
    if not found.runs:
        raise ValueError(f"{root} {'has no W&B record of any run' if root.is_dir() else 'is no folder'}")
    return found


def upload(
    waiting: Sequence[Part],
    batch: int,
    entity: str | None = None,
    project: str | None = None,
    on_progress: Callable[[int], None] = lambda count: None,
) -> str:
    """Upload parts in batches, each with a separate process of limited duration.

    Args:
        waiting: the parts.
        batch: number of parts per process.
        entity: overrides the one they were recorded for.
        project: likewise.
        on_progress: called with the number of parts uploaded so far.

    Returns:
        The error message of W&B; empty if there was none. Uploaded parts stay uploaded; uploading ends after a batch
        without any success.
    """
    command = [sys.executable, "-m", "wandb", "sync", "--yes", "--include-online"]
    command += [*(["--entity", entity] if entity else []), *(["--project", project] if project else [])]
    uploaded, wrong = 0, ""
    with tempfile.TemporaryDirectory() as scratch:  # W&B writes logs to the current folder
        for start in range(0, len(waiting), batch):
            together = waiting[start : start + batch]
            some = [part for part in together if part.is_readable]
            for part in together:
                if part not in some:
                    wrong = wrong or f"{part.file} is damaged"
            if not some:
                continue
            folders = [str(part.folder.resolve()) for part in some]
            try:
                done = subprocess.run(
                    command + folders,
                    cwd=scratch,
                    env=os.environ | {"WANDB_DIR": scratch, "WANDB_MODE": "online"},
                    capture_output=True,
                    text=True,
                    timeout=TIMEOUT,
                )
                said = done.stderr + done.stdout
            except subprocess.TimeoutExpired:
                said = f"wandb sync took more than {TIMEOUT:.0f} s"
            left = [part for part in some if not part.is_uploaded]
            uploaded += len(some) - len(left)
            on_progress(uploaded)
            if left:
                wrong = wrong or f"{left[0].folder}: {_reason(said)}"
            if len(left) == len(some):
                break
    return wrong


def _run_folders(root: Path) -> Iterator[Path]:
    for folder, below, _ in os.walk(root, followlinks=True):
        if "wandb" in below:
            below.clear()
            if list_parts(Path(folder)):
                yield Path(folder)
        below.sort()


def _is_written(directory: Path, part: Part) -> bool:
    """Whether a process may still write a part."""
    try:
        status = read_results(directory)["status"]
    except (OSError, ValueError, KeyError):
        status = "running"
    return status == "running" and time.time() - part.file.stat().st_mtime < STALE


def _reason(said: str) -> str:
    lines = [line.removeprefix("wandb:").strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "ERROR" in line or "rror:" in line or "panic" in line]
    return (telling or lines or ["wandb sync said nothing"])[-1]
