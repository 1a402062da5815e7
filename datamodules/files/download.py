"""Download a large file, resuming after interrupted attempts of this or an earlier process."""

import json
import os
import re
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn
from torchvision.datasets.utils import check_integrity

TIMEOUT = 60.0  # seconds without a byte; a compute node without a network may drop packets and never answer
RETRY_DELAYS = (
    1.0,
    5.0,
    15.0,
    60.0,
)  # seconds before each retry; starts over when an attempt received data
REPORT = 10.0  # seconds between progress lines when there is no terminal for a progress bar
BLOCK = 1 << 20


class NetworkError(Exception):
    """The network or the server failed; the data received so far is kept."""


class WrongFileError(Exception):
    """The file on the server is not the expected one."""


def download(url: str, target: Path, size: int, md5: str) -> None:
    """Download the official file to `target` unless it is already there.

    The file gets its name only once its md5 is verified. Until then `TARGET.part` holds the data received, and
    `TARGET.part.from` its source, so that a download resumes only if the server still has the same version. A wrong
    file named `target` is kept until the right one has arrived.

    Args:
        url: address of the file.
        target: path of the file.
        size: its official size in bytes.
        md5: its official checksum.

    Raises:
        ValueError: it failed; the message says why and what to do.
    """
    if check_integrity(target, md5):
        return
    name, folder = target.name, target.parent
    by_hand = f"copy {name} by hand to {folder} and run this command again"
    if target.is_file():
        by_hand = f"replace {target}, which is not the official one either, by hand and run this command again"
    make_folder(folder)
    part = Part(target)
    try:
        _fetch(url, part, size)
        if not check_integrity(part.path, md5):
            part.discard()
            raise WrongFileError(f"(its md5 is not {md5}) and was removed")
        os.replace(part.path, target)
        part.discard()
    except WrongFileError as error:
        raise ValueError(
            f"what came from {url} is not the official {name} {error}; "
            f"run this command again, name a mirror with --url, or {by_hand}"
        ) from error
    except (NetworkError, ValueError) as error:  # ValueError: the address is no URL
        so_far = f"run the same command to continue after the {part.size:,} of {size:,} bytes received; "
        raise ValueError(
            f"{name} could not be downloaded from {url} to {folder} ({error}); {so_far if part.size else ''}"
            f"check the network, name a mirror with --url, or {by_hand}"
        ) from error
    except OSError as error:
        raise ValueError(
            f"{part.path} cannot be written ({error.strerror or error}); "
            "make room there, or choose another folder with --data-dir, and run this command again"
        ) from error


def make_folder(folder: Path) -> None:
    """Make a folder for data unless it exists.

    Raises:
        ValueError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{folder} is no folder to write to ({error}); choose one with --data-dir") from error


class Part:
    """The data received so far of a file, and the version that it belongs to."""

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f"{target.name}.part")
        self.origin = target.with_name(f"{target.name}.part.from")

    @property
    def size(self) -> int:
        """Bytes received."""
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        """Remove the data."""
        self.path.unlink(missing_ok=True)
        self.origin.unlink(missing_ok=True)

    def restart(self, url: str, headers: Any) -> None:
        """Empty it, and record the version that is about to be downloaded."""
        self.path.write_bytes(b"")
        tag = headers.get("ETag") or ""
        # A weak ETag promises the same meaning, not the same bytes.
        version = tag if tag.startswith('"') else headers.get("Last-Modified")
        self.origin.write_text(json.dumps({"url": url, "version": version}))

    def headers(self, url: str) -> dict[str, str]:
        """Return the headers that request the rest, or everything if the file has changed since."""
        if not self.size:
            return {}
        try:
            origin = json.loads(self.origin.read_text())
            version = origin["version"] if origin["url"] == url else None  # a mirror has other ETags
        except (OSError, ValueError, KeyError, TypeError):
            version = None  # the md5 check decides
        return {"Range": f"bytes={self.size}-"} | ({"If-Range": version} if version else {})


def _fetch(url: str, part: Part, size: int) -> None:
    """Complete a part; interrupted attempts are retried with growing waits."""
    if part.size > size:
        part.discard()
    start = best = part.size
    failures = 0
    while part.size < size:
        try:
            _attempt(url, part, size)
        except NetworkError as error:
            if part.size > best:
                best, failures = part.size, 0
            # If nothing came at all, waiting would only hide that there is no network or no such file.
            if part.size == best == start or failures == len(RETRY_DELAYS):
                raise
            wait, failures = RETRY_DELAYS[failures], failures + 1
            so_far = f"{decimal(part.size)} of {decimal(size)}"
            print(f"{part.path.stem}: {error} after {so_far}; trying again in {wait:g} s", file=sys.stderr)
            time.sleep(wait)


def _attempt(url: str, part: Part, size: int) -> None:
    """Request the missing bytes and append them."""
    response, begin, total = _ask(url, part.headers(url), size)
    if begin not in (0, part.size):  # another range than requested, or none: request the whole file
        response.close()
        response, begin, total = _ask(url, {}, size)
    with response:
        if begin not in (0, part.size):
            raise NetworkError(f"the server answers {response.status} {response.reason} to a plain request")
        if total != size:  # a login page, perhaps: earlier data is kept
            raise WrongFileError(f"({total:,} bytes instead of {size:,})")
        if begin == 0:
            part.restart(url, response.headers)
        with part.path.open("ab") as file:
            _receive(response, file, part, size)


def _ask(url: str, headers: dict[str, str], size: int) -> tuple[Any, int, int]:
    """Return a response, its offset in the file (-1 if unknown), and the length of the file on the server."""
    try:
        response: Any = urlopen(Request(url, headers={"User-Agent": "wconv", **headers}), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code != 416:  # 416: the file on the server is shorter than the data received
            raise NetworkError(str(error)) from error
        response = error
    except (OSError, HTTPException) as error:
        raise NetworkError(str(error)) from error
    if response.status in (206, 416):  # Content-Range: bytes 100-199/200
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not found:
            return response, -1, size
        return response, int(found[1]), size if found[2] == "*" else int(found[2])
    return response, 0, int(response.headers.get("Content-Length") or size)


def _receive(response: Any, file: BinaryIO, part: Part, size: int) -> None:
    """Append the response to the file, and show the progress."""
    console = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    name = part.path.stem
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        progress.add_task(name, completed=part.size, total=size)
        (task,) = progress.tasks
        said = time.monotonic()
        while task.completed < size:
            try:
                block = response.read1(BLOCK)  # not read(), which would lose data received before an error
            except (OSError, HTTPException) as error:
                raise NetworkError(str(error)) from error
            if not block:
                raise NetworkError("the connection was cut")
            file.write(block)
            progress.advance(task.id, len(block))
            if not console.is_terminal and time.monotonic() - said >= REPORT:
                said = time.monotonic()
                rate = f"{decimal(int(task.speed or 0))}/s"
                print(f"{name}: {decimal(int(task.completed))} of {decimal(size)}, {rate}", file=sys.stderr)
