"""Files that are either as they were or as they should be, never in between."""

import os
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write next to the target, flush to the disk, and rename."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
