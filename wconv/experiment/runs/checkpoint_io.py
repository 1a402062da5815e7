"""Checkpoint files: written atomically with a checksum file, and read as tensors and plain values only."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins import TorchCheckpointIO

from wconv.experiment.common.files import fsync_directory, write_atomically

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoint IO of the trainer.

    A new file is complete before it is renamed to its target, and the old `last.ckpt` becomes `previous.ckpt`. The
    checksum of a file is recorded before the file gets its name, together with that of the file it replaces, so that an
    intact file matches its record at any time.
    """

    def __init__(self) -> None:
        super().__init__()
        self._read: dict[Path, dict[str, Any]] = {}

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: it cannot be written (the disk may be full); existing files stay unchanged.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        try:
            _write(checkpoint, part)
            digest = checksum(part)
            if target.name == LAST and (replaced := _known(target)):
                _rename(target, target.with_name(PREVIOUS), replaced)
            _rename(part, target, digest)
        finally:
            part.unlink(missing_ok=True)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = True) -> dict[str, Any]:
        """Return a checkpoint; regardless of `weights_only`, only tensors and plain values are loaded."""
        return self._read.pop(Path(path), None) or read_checkpoint(Path(path))

    def read(self, path: Path) -> dict[str, Any]:
        """Read a checkpoint and cache it for the trainer, which loads it next; raises as `read_checkpoint`."""
        self._read[path] = read_checkpoint(path)
        return self._read[path]

    def latest_valid(self, folder: Path, repair: bool) -> tuple[Path, dict[str, Any]] | None:
        """Return the newest valid checkpoint to resume from, and its content.

        Args:
            folder: of the checkpoints.
            repair: rename damaged ones to end in `.damaged`, with a warning.
        """
        found = False
        for path in (folder / LAST, folder / PREVIOUS):
            if not path.exists():
                continue
            found = True
            try:
                return path, self.read(path)
            except ValueError as error:
                if repair:
                    aside = path.with_name(f"{path.name}.damaged")
                    path.replace(aside)
                    print(f"warning: {path} {error}; it was set aside as {aside.name}", file=sys.stderr, flush=True)
        if found and repair:
            print(f"warning: no sound checkpoint is left in {folder}; the run starts over", file=sys.stderr, flush=True)
        return None


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Raises:
        ValueError: it is damaged; the message continues a sentence that starts with its name.
        OSError: it cannot be read.
    """
    verify_checksum(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except OSError:
        raise
    except Exception as error:  # PyTorch raises many types on broken files
        raise ValueError("is damaged: it cannot be read") from error
    if not isinstance(content, dict) or not {"global_step", "state_dict"} <= content.keys():
        raise ValueError("is no checkpoint of a run")
    return content


def verify_checksum(path: Path) -> None:
    """Check a file against its recorded checksum; without a record, nothing is checked.

    Raises:
        ValueError: it does not match; the message continues a sentence that starts with its name.
        OSError: it cannot be read.
    """
    digests = recorded_checksums(path)
    if digests and checksum(path) not in digests:
        raise ValueError("is damaged: it does not match its checksum")


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorded_checksums(path: Path) -> list[str]:
    """Return the recorded checksums of a file, newest first; empty without a record."""
    try:
        lines = _checksum_file(path).read_text().splitlines()
    except (OSError, ValueError):
        return []
    return [line.split()[0] for line in lines if line.strip()]


def _known(path: Path) -> str:
    """Return the recorded checksum of an existing file; empty for any other."""
    digests = recorded_checksums(path) if path.exists() else []
    if len(digests) > 1:  # a process ended between recording the checksum and renaming the file
        digests = [digest for digest in digests if digest == checksum(path)]
    return digests[0] if digests else ""


def _checksum_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _write(checkpoint: dict[str, Any], part: Path) -> None:
    with part.open("wb") as file:
        try:
            torch.save(checkpoint, file)
        except RuntimeError as error:  # how PyTorch reports file errors, such as a full disk
            cause = error.__context__ or error.__cause__
            raise cause if isinstance(cause, OSError) else error from None
        file.flush()
        os.fsync(file.fileno())


def _rename(source: Path, target: Path, digest: str) -> None:
    """Rename a file, keeping its checksum on record throughout."""
    write_atomically(_checksum_file(target), _lines(target, [digest, *recorded_checksums(target)[:1]]))
    source.replace(target)
    fsync_directory(target.parent)
    write_atomically(_checksum_file(target), _lines(target, [digest]))


def _lines(target: Path, digests: list[str]) -> bytes:
    """Format checksums for `sha256sum --check`."""
    return "".join(f"{digest}  {target.name}\n" for digest in digests).encode()
