"""Checksums of images: right ones, taken once, and never remembered beyond a change."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.files import checksums as module
from datamodules.files.checksums import checksums, file_checksum

NAMES = ["a.tif", "b.tif", os.fsdecode(b"caf\xe9.tif"), "line\nbreak.tif"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four files that are remembered at once, though they were written a moment ago."""
    monkeypatch.setattr(module, "SETTLED", -(10**12))
    (tmp_path / "photos").mkdir()
    for name in NAMES:
        (tmp_path / "photos" / name).write_bytes(os.fsencode(name) * 100)
    return tmp_path / "photos"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List the names of the files that are read."""
    names: list[str] = []

    def noted(path: Path) -> str:
        names.append(path.name)
        return file_checksum(path)

    monkeypatch.setattr(module, "file_checksum", noted)
    return names


def taken(folder: Path, store_dir: Path | None = None) -> list[str]:
    """Take the checksums of the folder, and expect the right ones."""
    files = [folder / name for name in NAMES]
    found = checksums(files, folder, store_dir or folder.parent / "stores")
    assert found == [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return found


def test_each_file_is_read_once(folder: Path, read: list[str]) -> None:
    taken(folder)
    assert sorted(read) == sorted(NAMES)
    taken(folder)
    assert len(read) == len(NAMES)


def set_back(path: Path) -> None:
    """Write other bytes, as many, with the time of the old ones."""
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def replace_with_equal_times(path: Path) -> None:
    """Put another file of the same size and time in its place."""
    before, other = path.stat(), path.with_name("other")
    other.write_bytes(path.read_bytes()[::-1])
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("change", [set_back, replace_with_equal_times, lambda path: path.write_bytes(b"x")])
def test_a_changed_file_is_read_again_and_the_others_are_not(
    folder: Path, read: list[str], change: Callable[[Path], None]
) -> None:
    before = taken(folder)
    change(folder / "b.tif")
    read.clear()
    after = taken(folder)
    assert read == ["b.tif"]
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True, True]


def test_a_file_written_a_moment_ago_is_read_again(
    folder: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two changes at what a file system takes for one time must not look like one."""
    monkeypatch.setattr(module, "SETTLED", 10**12)
    for _ in range(2):
        read.clear()
        taken(folder)
        assert len(read) == len(NAMES)


def test_other_files_of_the_folder_stay_remembered(folder: Path, read: list[str]) -> None:
    taken(folder)
    checksums([folder / "a.tif"], folder, folder.parent / "stores")
    (folder / "new").write_text("new")
    checksums([folder / "new"], folder, folder.parent / "stores")
    read.clear()
    taken(folder)
    assert read == []


@pytest.mark.parametrize("damage", ["digit", "cut", "empty", "list", "nested"])
def test_a_damaged_memory_is_no_memory(folder: Path, damage: str) -> None:
    before = taken(folder)
    (memory,) = (folder.parent / "stores").iterdir()
    text = memory.read_text()
    memory.write_text(
        {
            "digit": text.replace(before[1], before[1][::-1]),
            "cut": text[:-30],
            "empty": "",
            "list": "[1]",
            "nested": json.dumps({"sha256": "", "files": []}),
        }[damage]
    )
    assert taken(folder) == before
    assert json.loads(memory.read_text()) == json.loads(text)  # mended


def test_a_folder_that_cannot_be_written_costs_time_alone(folder: Path, read: list[str]) -> None:
    (folder.parent / "file").write_text("")
    for store_dir in (folder.parent / "file", folder.parent / "file" / "below", Path("/proc/nowhere")):
        taken(folder, store_dir)
    assert len(read) == 3 * len(NAMES)


def test_folders_of_one_name_do_not_share_a_memory(folder: Path) -> None:
    taken(folder)
    other = folder.parent / "deep" / "photos"
    other.mkdir(parents=True)
    for name in NAMES:
        (folder / name).rename(other / name)  # same inode, size and time
    set_back(other / "a.tif")
    taken(other)
