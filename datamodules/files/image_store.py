"""Decode a folder of images once into one file that every later run maps into memory.

Decoding DIV2K takes minutes; mapping the decoded file takes no time, loads only the images that are read, and shares
them between all processes of a machine. A store is a folder with `pixels.bin` (all images, (C, H, W) each, uint8) and
`index.json` (source files, image sizes, and the checksum of the pixels).
"""

import hashlib
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from rich.console import Console
from rich.progress import track

from datamodules.batching.packed_images import PackedImages
from datamodules.files.checksums import checksums, file_checksum, place
from datamodules.files.decode import open_image
from datamodules.files.names import printable

VERSION = 2
CHUNK = 32  # images decoded before they are written


def open_store(files: Sequence[Path], folder: Path, store_dir: Path, channels: int) -> PackedImages:
    """Return the images of some files from their store, building it if it is missing, damaged or out of date.

    Args:
        files: image files in `folder`, in order.
        folder: names of images are relative to it, and the store is named after it.
        store_dir: folder of all stores.
        channels: 3 for colour, 1 for grey.

    Raises:
        ValueError: a file is no image, or the store cannot be written; the message is one sentence.
        OSError: a file cannot be read.
    """
    store = store_dir / f"{folder.resolve().name}-{'grey' if channels == 1 else 'colour'}-{place(folder)}"
    contents = zip(files, checksums(files, folder, store_dir), strict=True)
    sources = [{"name": file.relative_to(folder).as_posix(), "sha256": digest} for file, digest in contents]
    try:
        if _fault(store, sources, channels):
            store_dir.mkdir(parents=True, exist_ok=True)
            # If several processes start at once, the first builds the store and the others wait.
            with FileLock(store_dir / f".{store.name}.lock"):
                fault = _fault(store, sources, channels)
                if fault:
                    _build(store, files, sources, channels, fault)
    except OSError as error:
        raise ValueError(
            f"the image store {printable(store)} cannot be written ({error.strerror or error}); "
            "make room there, or choose another folder with datamodule.store_dir"
        ) from error
    index = json.loads((store / "index.json").read_text())
    images = index["images"]
    converted = sum(image["converted"] for image in images)
    if converted:
        kinds = ("colour", "grey") if channels == 1 else ("grey", "colour")
        what = f"{converted} of {len(images)} images are {kinds[0]} and made {kinds[1]}"
        warnings.warn(f"{printable(folder)}: {what}", stacklevel=2)
    pixels = torch.from_numpy(np.memmap(store / "pixels.bin", np.uint8, mode="c"))
    sizes = torch.tensor([[image["height"], image["width"]] for image in images])
    # These names appear in tables, figures and on the terminal.
    return PackedImages.from_contiguous(pixels, sizes, channels, [printable(image["name"]) for image in images])


def _fault(store: Path, sources: list[dict[str, Any]], channels: int) -> str:
    """Say what is wrong with a store; empty if it is valid."""
    if not store.exists():
        return "is missing"
    try:
        index = json.loads((store / "index.json").read_text())
        if (index["version"], index["channels"]) != (VERSION, channels):
            return "is of another version"
        made_of = [{key: image[key] for key in ("name", "sha256")} for image in index["images"]]
        pixels = sum(image["height"] * image["width"] * channels for image in index["images"])
        sum(image["converted"] for image in index["images"])  # checks a key that is read later
        if made_of != sources:
            return "is out of date: the images have changed"
        if (store / "pixels.bin").stat().st_size != pixels or file_checksum(store / "pixels.bin") != index["sha256"]:
            return "is damaged: its checksum is wrong"
    except (OSError, ValueError, KeyError, TypeError):
        return "is damaged: its index cannot be read"
    return ""


def _build(store: Path, files: Sequence[Path], sources: list[dict[str, Any]], channels: int, fault: str) -> None:
    print(f"decoding {len(files)} images, because the image store {printable(store)} {fault}", flush=True)
    part = store.with_name(f".{store.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # left by a killed process
    try:
        part.mkdir()
        digest, images = hashlib.sha256(), []
        with (part / "pixels.bin").open("wb") as out:
            for source, (pixels, converted) in zip(sources, _decoded(files, channels), strict=True):
                out.write(pixels)
                digest.update(pixels)
                images.append({**source, "height": pixels.shape[1], "width": pixels.shape[2], "converted": converted})
            out.flush()
            os.fsync(out.fileno())
        index = {"version": VERSION, "channels": channels, "sha256": digest.hexdigest(), "images": images}
        (part / "index.json").write_text(json.dumps(index))
        shutil.rmtree(store, ignore_errors=True)
        part.replace(store)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _decoded(files: Sequence[Path], channels: int) -> Iterator[tuple[Any, bool]]:
    """Yield the pixels of each file, uint8 (C, H, W), and whether it was converted between grey and colour."""

    def decode(file: Path) -> tuple[Any, bool]:
        image, converted = open_image(file, channels)
        return np.ascontiguousarray(
            np.asarray(image).reshape(image.height, image.width, channels).transpose(2, 0, 1)
        ), converted

    starts = range(0, len(files), CHUNK)
    with ThreadPoolExecutor() as pool:  # threads suffice: Pillow releases the GIL while it decodes
        for start in track(starts, "decoding", console=Console(stderr=True), disable=not sys.stderr.isatty()):
            yield from pool.map(decode, files[start : start + CHUNK])
