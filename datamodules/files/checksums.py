"""Checksums of the images of a folder, taken once and remembered until a file changes."""

import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track

SETTLED = 1_000_000_000  # nanoseconds after which another change of a file has another time, on every file system


def checksums(files: Sequence[Path], folder: Path, store_dir: Path | None) -> list[str]:
    """Return the SHA-256 of each file.

    What is known of a file is used again as long as its size, its times (of the content and of the inode, which no
    program can set back) and its inode are the same.

    Args:
        files: in `folder`.
        folder: what the files are known by their place in.
        store_dir: folder of the file that remembers; None, or one that cannot be written, to remember nothing.

    Raises:
        OSError: a file cannot be read.
    """
    memory = None if store_dir is None else store_dir / f".{folder.resolve().name}-{place(folder)}.checksums.json"
    known = {} if memory is None else _recall(memory)
    now = time.time_ns()
    names = [file.relative_to(folder).as_posix() for file in files]
    states = [_state(file) for file in files]
    new = [at for at, name in enumerate(names) if known.get(name, {}).get("state") != states[at]]
    fresh = dict(known)
    with ThreadPoolExecutor() as pool:  # threads, because hashlib lets go of the interpreter lock
        digests = pool.map(file_checksum, (files[at] for at in new))
        shown = track(digests, "reading", len(new), console=Console(stderr=True), disable=not sys.stderr.isatty())
        for at, digest in zip(new, shown, strict=True):
            fresh[names[at]] = {"state": states[at], "sha256": digest}
    found = [str(fresh[name]["sha256"]) for name in names]
    # A file that was written a moment ago may be written again at what its file system takes for the same time.
    changed = {names[at]: fresh[names[at]] for at in new if now - max(states[at][1:3]) > SETTLED}
    if memory is not None and changed:
        with suppress(OSError):
            _remember(memory, known | changed)
    return found


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def content_digest(files: Sequence[Path], folder: Path, store_dir: Path | None) -> str:
    """Return a digest of the names and the contents of files, whatever folder they lie in; raises as `checksums`."""
    names = [file.relative_to(folder).as_posix() for file in files]
    listing = list(zip(names, checksums(files, folder, store_dir), strict=True))
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def place(folder: Path) -> str:
    """Return a few digits that tell a folder from others of its name."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]


def _state(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _recall(memory: Path) -> dict[str, Any]:
    """Return what is known of each file; nothing where the file is missing or damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
        content = json.loads(memory.read_text())
        if content["sha256"] == _seal(content["files"]):
            return dict(content["files"])
    return {}


def _remember(memory: Path, files: dict[str, Any]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    part = memory.with_name(f"{memory.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps({"sha256": _seal(files), "files": files}))
        part.replace(memory)
    finally:
        part.unlink(missing_ok=True)


def _seal(files: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
