"""The store of decoded images: right pixels, and never used when it is not what it should be."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from datamodules.files import image_store
from datamodules.files.image_store import open_store
from tests.datamodules.files.stores import SIZES, assert_rebuilt, is_right, opened, store_of, write

# What is read


@pytest.mark.filterwarnings("ignore:.*made grey")
@pytest.mark.parametrize("channels", [3, 1])
def test_images_of_different_sizes_are_those_of_the_files(folder: Path, channels: int) -> None:
    images = opened(folder, channels)
    assert images.pixels.dtype == torch.uint8
    assert len(images.pixels) == sum(channels * height * width for height, width in SIZES)
    assert images.sizes.tolist() == [list(size) for size in SIZES]
    assert is_right(images, folder)


def test_images_are_views_of_one_mapped_file(folder: Path) -> None:
    images = opened(folder)
    file = store_of(folder) / "pixels.bin"
    assert str(file.resolve()) in Path("/proc/self/maps").read_text()
    assert {image.untyped_storage().data_ptr() for image in images} == {images.pixels.data_ptr()}
    some = images.subset(torch.tensor([2, 0]))
    assert some.pixels.data_ptr() == images.pixels.data_ptr()
    assert list(some.names) == ["more/c.png", "a.png"]
    assert torch.equal(some[0], images[2])
    before = file.read_bytes()
    images[0].zero_()  # whoever writes into an image has a page of his own
    assert file.read_bytes() == before


def test_second_opening_decodes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)
    monkeypatch.setattr(image_store, "open_image", None)
    assert is_right(opened(folder), folder)


@pytest.mark.filterwarnings("ignore:.*made grey")
def test_folders_of_one_name_and_grey_and_colour_have_stores_of_their_own(tmp_path: Path, folder: Path) -> None:
    other = tmp_path / "elsewhere" / "photos"
    other.mkdir(parents=True)
    write(other / "z.png", 9, 4, 4)
    for _ in range(2):
        for channels in (3, 1):
            assert is_right(opened(folder, channels), folder)
            assert is_right(open_store([other / "z.png"], other, tmp_path / "stores", channels), other)
    assert len(list((tmp_path / "stores").glob("photos-*"))) == 4


def test_mixed_grey_and_colour_is_said_every_time(folder: Path) -> None:
    Image.open(folder / "b.png").convert("L").save(folder / "b.png")
    for _ in range(2):
        with pytest.warns(UserWarning, match="photos: 1 of 3 images are grey and made colour") as caught:
            assert is_right(opened(folder), folder)
        assert len(caught) == 1
        with pytest.warns(UserWarning, match="photos: 2 of 3 images are colour and made grey"):
            assert is_right(opened(folder, channels=1), folder)


def test_more_images_than_are_decoded_ahead(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_store, "CHUNK", 2)
    assert is_right(opened(folder), folder)


# What is built again


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [0, 200, -1])
def test_flipped_byte_of_the_pixels(folder: Path, capsys: pytest.CaptureFixture[str], position: int) -> None:
    opened(folder)
    flip(store_of(folder) / "pixels.bin", position)
    assert_rebuilt(folder, capsys, "is damaged: its checksum is wrong")


@pytest.mark.parametrize("change", [b"", b"x" * 100, None])
def test_pixels_cut_off_or_more_or_missing(
    folder: Path, capsys: pytest.CaptureFixture[str], change: bytes | None
) -> None:
    opened(folder)
    path = store_of(folder) / "pixels.bin"
    if change is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + change if change else path.read_bytes()[:100])
    assert_rebuilt(folder, capsys, "is damaged")


def test_any_flipped_byte_of_the_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)  # for speed
    for path in (folder / "b.png", folder / "more" / "c.png"):
        path.unlink()
    opened(folder)
    index = store_of(folder) / "index.json"
    good = index.read_bytes()
    for position in range(len(good)):
        flip(index, position)
        assert is_right(opened(folder), folder), position
        assert index.read_bytes() == good


@pytest.mark.parametrize("content", ["", "[]", "[1]", "null", "{}", '{"images": 3}', "\x00", "truncated", "missing"])
def test_index_that_is_none(folder: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    opened(folder)
    path = store_of(folder) / "index.json"
    if content == "missing":
        path.unlink()
    else:
        path.write_text(path.read_text()[:-20] if content == "truncated" else content)
    assert_rebuilt(folder, capsys, "is damaged: its index cannot be read")


def test_another_version(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)
    monkeypatch.setattr(image_store, "VERSION", image_store.VERSION + 1)
    assert_rebuilt(folder, capsys, "is of another version")


CHANGES: dict[str, tuple[Callable[[Path], Any], int]] = {
    "other pixels": (lambda folder: write(folder / "a.png", 7, 8, 8), 3),
    "renamed": (lambda folder: (folder / "a.png").rename(folder / "d.png"), 3),
    "one more": (lambda folder: write(folder / "d.png", 7, 8, 8), 4),
    "one less": (lambda folder: (folder / "a.png").unlink(), 2),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_images(folder: Path, capsys: pytest.CaptureFixture[str], change: str) -> None:
    opened(folder)
    act, count = CHANGES[change]
    act(folder)
    assert_rebuilt(folder, capsys, "is out of date: the images have changed", count)


def test_only_other_contents_are_decoded_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "a.png"  # told by its content: a BMP has no compression and no checksum
    Image.open(path).save(path, "BMP")
    opened(folder)
    capsys.readouterr()
    before, content = path.stat(), path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert is_right(opened(folder), folder)
    assert capsys.readouterr().out == ""
    flip(path, -1)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_rebuilt(folder, capsys, "is out of date: the images have changed")
