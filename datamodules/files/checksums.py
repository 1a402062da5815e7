"""Checksums of the images of a folder, computed once and cached until a file changes."""

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

SETTLED = 1_000_000_000  # nanoseconds: coarser than the timestamps of any file system


def checksums(files: Sequence[Path], folder: Path, store_dir: Path | None) -> list[str]:
    """Return the SHA-256 of each file.

    A cached checksum is used as long as size, inode, mtime and ctime (which no program can set back) of the file are
    the same.

    Args:
        files: in `folder`.
        folder: the cache stores paths relative to it.
        store_dir: folder of the cache file; None, or a folder that is not writable, for no cache.

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
    with ThreadPoolExecutor() as pool:  # threads suffice: hashlib releases the GIL
        digests = pool.map(file_checksum, (files[at] for at in new))
        shown = track(digests, "reading", len(new), console=Console(stderr=True), disable=not sys.stderr.isatty())
        for at, digest in zip(new, shown, strict=True):
            fresh[names[at]] = {"state": states[at], "sha256": digest}
    found = [str(fresh[name]["sha256"]) for name in names]
    # A file written just now may change again within the same timestamp, so it is not cached yet.
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
    """Return a digest of the relative names and contents of files; raises as `checksums`."""
    names = [file.relative_to(folder).as_posix() for file in files]
    listing = list(zip(names, checksums(files, folder, store_dir), strict=True))
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def place(folder: Path) -> str:
    """Return a short hash of the path, which distinguishes folders of the same name."""
    return hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:8]


def _state(file: Path) -> list[int]:
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _recall(memory: Path) -> dict[str, Any]:
    """Return the cached entries; none if the cache file is missing or damaged."""
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
