"""A store of decoded images is built once and whole: a full disk, a kill or a second process leave no part of one."""

import os
import resource
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from datamodules.files import image_store
from datamodules.files.image_store import open_store
from tests.datamodules.files.stores import SIZES, assert_rebuilt, is_right, opened, store_of, write

FORK = get_context("fork")  # a forked process has the test's patches


def left_behind(folder: Path) -> list[str]:
    """List what lies in the folder of stores; the lock, an empty file, and the checksums of the images stay."""
    stays = (".lock", ".json")
    return [path.name for path in (folder.parent / "stores").iterdir() if path.suffix not in stays]


def test_broken_image_leaves_nothing(folder: Path) -> None:
    (folder / "b.png").write_text("this is no image")
    with pytest.raises(ValueError, match=r"b\.png cannot be read as an image .* repair or remove it"):
        opened(folder)
    assert left_behind(folder) == []
    write(folder / "b.png", 1, 5, 7)
    assert is_right(opened(folder), folder)


def with_full_disk(folder: Path) -> str:
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))  # no file larger than this: write raises OSError
    try:
        opened(folder)
    except ValueError as error:
        return str(error)
    return "no error"


@pytest.mark.parametrize("before", [False, True])
def test_full_disk_leaves_nothing(folder: Path, before: bool) -> None:
    if before:
        opened(folder)
        write(folder / "d.png", 7, 30, 30)
    old = {path: path.read_bytes() for path in folder.parent.glob("stores/*/*")}
    with ProcessPoolExecutor(1, FORK) as pool:
        message = pool.submit(with_full_disk, folder).result(60)
    assert message.startswith(f"the image store {folder.parent / 'stores' / 'photos-colour-'}")
    assert "cannot be written (File too large); make room there" in message
    assert "datamodule.store_dir" in message
    assert "\n" not in message
    assert left_behind(folder) == ([store_of(folder).name] if before else [])
    assert {path: path.read_bytes() for path in folder.parent.glob("stores/*/*")} == old
    assert is_right(opened(folder), folder)


@pytest.mark.parametrize("where", ["stores", "stores/below"])
def test_store_folder_that_cannot_be_written(folder: Path, where: str) -> None:
    (folder.parent / "stores").write_text("a file where the folder should be")
    with pytest.raises(ValueError, match=r"image store .* cannot be written .* datamodule\.store_dir") as caught:
        open_store([folder / "a.png"], folder, folder.parent / where, 3)
    assert "\n" not in str(caught.value)


def killed_while_building(folder: Path) -> None:
    def die(path: Path, channels: int) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    image_store.open_image = die
    opened(folder)


def test_killed_build_is_made_good(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    process = FORK.Process(target=killed_while_building, args=(folder,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    (part,) = (folder.parent / "stores").glob(".*.part")
    (part / "more").mkdir()  # whatever lies in it
    assert_rebuilt(folder, capsys, "is missing")
    assert left_behind(folder) == [store_of(folder).name]


def open_slowly(folder: Path, decoded: Any) -> bool:
    original = image_store.open_image

    def slow(path: Path, channels: int) -> Any:
        time.sleep(0.3)
        with decoded.get_lock():
            decoded.value += 1
        return original(path, channels)

    image_store.open_image = slow
    return is_right(opened(folder), folder)


def test_of_two_processes_one_builds_and_both_read(folder: Path) -> None:
    decoded, verdicts = FORK.Value("i", 0), FORK.SimpleQueue()
    processes = [FORK.Process(target=lambda: verdicts.put(open_slowly(folder, decoded))) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [verdicts.get(), verdicts.get()] == [True, True]
    assert decoded.value == len(SIZES)
