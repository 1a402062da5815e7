"""Files that are either as they were or as they should be, never in between."""

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
    """Remove what killed processes left of the files that they were writing; no other process may be writing there."""
    for part in folder.glob(".*.part"):
        if not part.name.endswith(f".{_own_part()}"):  # a thread of this process may be writing
            part.unlink(missing_ok=True)


def _own_part() -> str:
    return f"{os.getpid()}.part"


def fsync_directory(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a rename outlives a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
