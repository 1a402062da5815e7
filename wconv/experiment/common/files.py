"""Atomic file writes: a file has either its old or its new content, never a part."""

import os
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Write next to the target, flush to the disk, and rename."""
    part = path.with_name(f".{path.name}.{_own_part()}")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        fsync_directory(path.parent)
    finally:
        part.unlink(missing_ok=True)


def remove_temporary_files(folder: Path) -> None:
    """Remove temporary files that killed processes left; no other process may be writing in the folder."""
    for part in folder.glob(".*.part"):
        if not part.name.endswith(f".{_own_part()}"):  # another thread of this process may be writing it
            part.unlink(missing_ok=True)


def _own_part() -> str:
    return f"{os.getpid()}.part"


def fsync_directory(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a rename survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
