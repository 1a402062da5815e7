"""What the tests of image stores share."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.batching.packed_images import PackedImages
from datamodules.files.image_store import open_store

SIZES = [(12, 9), (5, 7), (3, 20)]


def write(path: Path, seed: int, height: int, width: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)


def opened(folder: Path, channels: int = 3) -> PackedImages:
    return open_store(sorted(folder.rglob("*.png")), folder, folder.parent / "stores", channels)


def store_of(folder: Path) -> Path:
    (store,) = (path for path in (folder.parent / "stores").iterdir() if not path.name.startswith("."))
    return store


def is_right(images: PackedImages, folder: Path) -> bool:
    """Tell whether the images are those of the files, in order."""
    mode = {1: "L", 3: "RGB"}[images.channels]
    files = sorted(folder.rglob("*.png"))
    if list(images.names) != [file.relative_to(folder).as_posix() for file in files]:
        return False
    for image, file in zip(images, files, strict=True):
        pixels = np.atleast_3d(np.asarray(Image.open(file).convert(mode)))
        if not torch.equal(image, torch.tensor(pixels).permute(2, 0, 1)):
            return False
    return True


def assert_rebuilt(folder: Path, capsys: pytest.CaptureFixture[str], why: str, count: int = 3) -> None:
    """Open the store, and expect it built anew with a line that says why; then once more, expecting silence."""
    capsys.readouterr()
    assert is_right(opened(folder), folder)
    assert f"decoding {count} images, because the image store {store_of(folder)} {why}" in capsys.readouterr().out
    assert is_right(opened(folder), folder)
    assert capsys.readouterr().out == ""
