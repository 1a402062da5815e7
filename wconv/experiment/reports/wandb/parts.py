"""The parts of a run's W&B record; each process writes at least one below `wandb/` in the run folder."""

import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wconv.experiment.reports.wandb.private import core_program

HEADER = 7  # bytes of the file header


@dataclass(frozen=True)
class Part:
    """A folder made by W&B, `run-<time>-<id>` or `offline-run-<time>-<id>`.

    Attributes:
        file: the record in the folder.
    """

    file: Path

    @property
    def folder(self) -> Path:
        """The folder itself."""
        return self.file.parent

    @property
    def is_offline(self) -> bool:
        """Whether it was written without a server."""
        return self.folder.name.startswith("offline-")

    @property
    def is_uploaded(self) -> bool:
        """Whether the server has all of it."""
        return self.mark.exists()

    @property
    def is_empty(self) -> bool:
        """Whether its process was killed before it wrote anything after the header."""
        return self.file.stat().st_size <= HEADER

    @property
    def mark(self) -> Path:
        """The empty file that marks it as uploaded, made by `wandb sync` or by a run that has uploaded everything."""
        return self.file.with_suffix(".wandb.synced")

    @property
    def is_readable(self) -> bool:
        """Whether it is a valid record; an invalid one would keep `wandb sync` from uploading the others."""
        return self._inspected.returncode == 0

    @property
    def history(self) -> list[dict[str, object]]:
        """The rows that were written to disk; nested names are joined with dots."""
        lines = self._inspected.stdout.splitlines()
        records = [json.loads(line) for line in lines if '"type":"history"' in line]
        return [record["history"]["item"] for record in records]

    @cached_property
    def _inspected(self) -> subprocess.CompletedProcess[str]:
        # Same as `wandb leet inspect`, which takes more than a second to start.
        command = [core_program(), "leet", "inspect", "--json", "--run-file", str(self.file), str(self.folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


def list_parts(directory: Path) -> list[Part]:
    """Return the parts of a run, the oldest first."""
    files = [path for path in directory.glob("wandb/*run-*/run-*.wandb") if not path.parent.is_symlink()]
    return [Part(file) for file in sorted(files, key=lambda file: file.parent.name.removeprefix("offline-"))]


def recorded_epochs_and_media(some: Iterable[Part]) -> tuple[set[int], set[str]]:
    """Return the epochs recorded in some parts, and the names of their images and tables."""
    rows = [row for part in some for row in part.history]
    epochs = {int(str(row["epoch"])) for row in rows if "epoch" in row}
    media = {name.removesuffix("._type") for row in rows for name in row if name.endswith("._type")}
    return epochs, media
