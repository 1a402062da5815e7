"""Which way up an image is, whatever its format, mode and size."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from datamodules.files.decode import open_image
from tests.datamodules.files.test_decode import Pixels, decoded, luma, random_pixels

pytestmark = pytest.mark.filterwarnings("error")

# By the EXIF standard: where the first row and the first column of the file are seen.
UPRIGHT: dict[object, Callable[[Pixels], Pixels]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored),
    0: lambda stored: stored,  # values that mean nothing
    9: lambda stored: stored,
}
SAVED: list[tuple[str, dict[str, Any]]] = [
    ("png", {}),
    ("tif", {}),
    ("tif", {"compression": "tiff_lzw"}),
    ("webp", {"lossless": True}),
    ("jpg", {"quality": 100, "subsampling": 0}),
    ("mpo", {"quality": 100, "subsampling": 0, "save_all": True, "append_images": [Image.new("RGB", (8, 8))]}),
]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize(("suffix", "save"), SAVED, ids=lambda value: str(value)[:20])
def test_an_image_is_upright_whatever_its_format(
    tmp_path: Path, suffix: str, save: dict[str, Any], orientation: int
) -> None:
    if save.get("compression") and orientation not in range(1, 9):
        return  # Pillow writes none
    stored, exif = np.repeat(np.repeat(random_pixels(2, 3, 3), 8, axis=0), 8, axis=1), Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    for channels in (1, 3):
        pixels, _ = decoded(tmp_path / f"one.{suffix}", Image.fromarray(stored), channels, exif=exif, **save)
        expected = UPRIGHT[orientation](stored if channels == 3 else luma(stored))
        assert pixels.shape == expected.shape
        assert np.abs(pixels.astype(int) - expected).max() <= (4 if suffix in ("jpg", "mpo") else 0)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_an_image_of_every_mode_is_turned(tmp_path: Path, mode: str, suffix: str) -> None:
    if mode == "CMYK" and suffix == "png":
        return  # PNG has none
    values = random_pixels(5, 8, 3)
    stored = Image.fromarray(values[..., 0].astype(np.uint16) * 257 if mode == "I;16" else values)
    stored, exif = stored if mode == "I;16" else stored.convert(mode), Image.Exif()
    plain, _ = decoded(tmp_path / f"one.{suffix}", stored, 3)
    exif[ExifTags.Base.Orientation] = 6
    turned, _ = decoded(tmp_path / f"two.{suffix}", stored, 3, exif=exif)
    assert np.array_equal(turned, np.rot90(plain, -1))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_broken_metadata_do_not_make_an_image_unreadable(tmp_path: Path, suffix: str) -> None:
    stored = np.full((6, 7, 3), 90, dtype=np.uint8)
    for exif in (
        b"Exif\0\0nothing of the kind",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\xff\xff\xff\xff\0\0\0\0",
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, on tags that are cut off
            pixels, _ = decoded(tmp_path / f"one.{suffix}", Image.fromarray(stored), 3, exif=exif)
        assert np.abs(pixels.astype(int) - stored).max() <= 2


def test_a_large_picture_is_no_attack(tmp_path: Path) -> None:
    Image.new("1", (13500, 13500), 1).save(tmp_path / "one.png")  # 182 million pixels
    image, _ = open_image(tmp_path / "one.png", 1)
    assert image.size == (13500, 13500)
    assert image.getextrema() == (255, 255)
