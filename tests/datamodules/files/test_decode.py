"""What becomes of each kind of image file, pixel by pixel."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from datamodules.files.decode import open_image
from wconv.experiment.inference.photo import PhotoError, read_photo

RED = (255, 0, 0)
RED_LUMA = 76  # 0.299 * 255
Pixels = NDArray[Any]


def random_pixels(*shape: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def decoded(path: Path, image: Image.Image, channels: int, **save: Any) -> tuple[Pixels, bool]:
    """Save an image, open it again, and return its pixels and whether its kind was changed."""
    image.save(path, **save)
    opened, converted = open_image(path, channels)
    assert opened.mode == {1: "L", 3: "RGB"}[channels]
    return np.asarray(opened), converted


def luma(rgb: Pixels) -> Pixels:
    """Return ITU-R 601 grey, rounded as Pillow documents it: from 16-bit fixed-point weights."""
    weights = np.array([19595, 38470, 7471])
    return ((rgb.astype(np.int64) @ weights + 0x8000) >> 16).astype(np.uint8)


def repeated(grey: Pixels) -> Pixels:
    return np.stack([grey] * 3, axis=-1)


def write_png16(path: Path, values: Pixels, kind: int) -> None:
    """Write 16-bit samples (H, W, C), which Pillow cannot do for colour; `kind` is the PNG colour type."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    content = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + content)


# Every warning is an error here: Pillow's would reach the user once an image.
pytestmark = pytest.mark.filterwarnings("error")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colour_and_grey_are_left_as_they_are_or_made_the_other(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one.{suffix}"
    colour, grey = random_pixels(6, 7, 3), random_pixels(6, 7)
    for image, channels, expected, is_other in (
        (colour, 3, colour, False),
        (colour, 1, luma(colour), True),
        (grey, 1, grey, False),
        (grey, 3, repeated(grey), True),
    ):
        pixels, converted = decoded(path, Image.fromarray(image), channels)
        assert np.array_equal(pixels, expected)
        assert converted == is_other


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_dropped_and_not_blended(tmp_path: Path, suffix: str) -> None:
    path, rgba, la = tmp_path / f"one.{suffix}", random_pixels(6, 7, 4), random_pixels(6, 7, 2)
    rgba[0, 0] = (*RED, 0)  # the colour under full transparency is kept, too
    colour, grey = Image.fromarray(rgba, "RGBA"), Image.fromarray(la, "LA")
    assert np.array_equal(decoded(path, colour, 3)[0], rgba[..., :3])
    assert np.array_equal(decoded(path, colour, 1)[0], luma(rgba[..., :3]))
    for channels, expected in ((1, la[..., 0]), (3, repeated(la[..., 0]))):
        pixels, converted = decoded(path, grey, channels)
        assert np.array_equal(pixels, expected)
        assert converted == (channels == 3)


@pytest.mark.parametrize("transparency", [None, 1, b"\x00\x80\xff"])
def test_palette_is_looked_up_whatever_is_transparent(tmp_path: Path, transparency: Any) -> None:
    colours = np.array([RED, (10, 120, 240), (7, 7, 7)], dtype=np.uint8)
    indices = random_pixels(6, 7) % 3
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    assert image.mode == "P"
    save = {} if transparency is None else {"transparency": transparency}
    pixels, converted = decoded(tmp_path / "one.png", image, 3, **save)
    assert np.array_equal(pixels, colours[indices])
    assert not converted
    assert np.array_equal(decoded(tmp_path / "one.png", image, 1, **save)[0], luma(colours[indices]))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_bit_is_black_and_white(tmp_path: Path, channels: int) -> None:
    bits = random_pixels(6, 7) > 127
    pixels, converted = decoded(tmp_path / "one.png", Image.fromarray(bits), channels)
    expected = bits.astype(np.uint8) * 255
    assert np.array_equal(pixels, repeated(expected) if channels == 3 else expected)
    assert converted == (channels == 3)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sixteen_bits_of_grey_are_scaled_and_rounded(tmp_path: Path, channels: int, suffix: str) -> None:
    values = np.array([[0, 1, 128, 129, 255], [256, 257, 32768, 65406, 65535]], dtype=np.uint16)
    expected = np.round(values / 257).astype(np.uint8)  # 65535 / 257 = 255
    pixels, converted = decoded(tmp_path / f"one.{suffix}", Image.fromarray(values), channels)
    assert np.array_equal(pixels, repeated(expected) if channels == 3 else expected)
    assert converted == (channels == 3)


def test_sixteen_bits_in_the_other_byte_order(tmp_path: Path) -> None:
    values = np.array([[0, 255, 256], [257, 32768, 65535]], dtype=">u2")
    image = Image.frombytes("I;16B", (3, 2), values.tobytes())
    assert decoded(tmp_path / "one.tif", image, 1)[0].tolist() == [[0, 1, 1], [1, 128, 255]]


@pytest.mark.parametrize(("kind", "samples"), [(2, 3), (6, 4)])
def test_of_sixteen_bit_colour_the_higher_byte_is_read(tmp_path: Path, kind: int, samples: int) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, samples), dtype=np.uint16)
    values[0, 0], values[0, 1] = 255, 65535
    write_png16(tmp_path / "one.png", values, kind)
    image, converted = open_image(tmp_path / "one.png", 3)
    assert np.array_equal(np.asarray(image), values[..., :3] >> 8)
    assert not converted


def test_of_sixteen_bit_grey_with_alpha_too(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (4, 5, 2), dtype=np.uint16)
    write_png16(tmp_path / "one.png", values, 4)
    assert np.array_equal(np.asarray(open_image(tmp_path / "one.png", 1)[0]), values[..., 0] >> 8)


def test_ink_becomes_light(tmp_path: Path) -> None:
    ink = Image.new("CMYK", (4, 3), (0, 255, 255, 0))
    pixels, converted = decoded(tmp_path / "one.tif", ink, 3)
    assert (pixels == RED).all()
    assert not converted
    assert (decoded(tmp_path / "one.tif", ink, 1)[0] == RED_LUMA).all()


@pytest.mark.parametrize("suffix", ["jpg", "JPEG"])
def test_jpeg_is_what_pillow_decodes(tmp_path: Path, suffix: str) -> None:
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    for channels, image in ((3, repeated(smooth)), (1, smooth)):
        pixels, converted = decoded(tmp_path / f"one.{suffix}", Image.fromarray(image), channels, quality=95)
        assert np.abs(pixels.astype(int) - image).max() <= 4  # JPEG itself loses as much
        assert not converted
        with Image.open(tmp_path / f"one.{suffix}") as reference:
            assert np.array_equal(pixels, np.asarray(reference))


# What is refused


def refused(path: Path, *words: str) -> None:
    for channels in (1, 3):
        with pytest.raises(ValueError, match="cannot be read as an image") as caught:
            open_image(path, channels)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert "repair or remove it" in message
        assert all(word in message for word in words), message
        assert "\n" not in message


@pytest.mark.parametrize("suffix", ["tif", "png", "webp"])
def test_a_file_of_several_pages_or_frames(tmp_path: Path, suffix: str) -> None:
    """Which of them was meant is not for a loader to say; `denoise.py` refuses in the same words."""
    path, pages = tmp_path / f"one.{suffix}", [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "white")]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    for channels in (1, 3):
        with pytest.raises(ValueError, match="holds 3 frames or pages") as caught:
            open_image(path, channels)
        assert str(caught.value) == f"{path} holds 3 frames or pages; save the one you want as a file of its own"
    with pytest.raises(PhotoError) as refused_photo:
        read_photo(path)
    assert str(refused_photo.value) == str(caught.value)


def test_a_picture_that_is_larger_than_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: Image.Image) -> None:
        raise MemoryError

    Image.new("RGB", (4, 4)).save(tmp_path / "one.png")
    monkeypatch.setattr(Image.Image, "load", load)
    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    for call in (lambda: open_image(tmp_path / "one.png", 3), lambda: read_photo(tmp_path / "one.png")):
        with pytest.raises(ValueError, match=r"one\.png does not fit into memory; make it smaller or"):
            call()


def test_values_of_unknown_range(tmp_path: Path) -> None:
    for values in (np.zeros((3, 3), np.float32), np.full((3, 3), 65536, np.int32), np.full((3, 3), -1, np.int32)):
        Image.fromarray(values).save(tmp_path / "one.tif")
        refused(tmp_path / "one.tif", "of unknown range")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
@pytest.mark.parametrize("fault", ["text", "empty", "truncated", "missing", "folder"])
def test_file_that_is_no_image(tmp_path: Path, suffix: str, fault: str) -> None:
    path = tmp_path / f"one.{suffix}"
    if fault == "text":
        path.write_text("this is no image")
    elif fault == "empty":
        path.write_bytes(b"")
    elif fault == "truncated":
        Image.fromarray(random_pixels(64, 64, 3)).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif fault == "folder":
        path.mkdir()
    refused(path)


def test_png_with_a_flipped_byte(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.fromarray(random_pixels(64, 64, 3)).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    refused(path)
