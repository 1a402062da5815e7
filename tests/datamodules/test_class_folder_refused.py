"""Which class folders are refused, and what tells their data from other data."""

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.datamodules.class_folders import load, make
from tests.datamodules.small_data import draw_image, refused


def test_options_that_make_no_sense(class_tree: Path) -> None:
    refused(partial(load, class_tree), "datamodule.channels=2", "3 for colour or 1 for grey", channels=2)
    refused(partial(load, class_tree), "datamodule.image_size=0", "from 1 up", image_size=0)


@pytest.mark.parametrize("test_dirs", [[], ["one", "two"], "x"])
def test_classification_needs_exactly_one_test_folder(class_tree: Path, test_dirs: Any) -> None:
    refused(partial(load, class_tree), "datamodule.test_dirs=", "is tested on one folder", test_dirs=test_dirs)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("fault", ["missing", "file", "empty"])
def test_folder_that_is_none(class_tree: Path, split: str, fault: str) -> None:
    shutil.copytree(class_tree / "test", class_tree / "val")
    shutil.rmtree(class_tree / split)
    if fault == "file":
        (class_tree / split).write_text("not a folder")
    elif fault == "empty":
        (class_tree / split).mkdir()
        draw_image(0).save(class_tree / split / "loose.png")
    words = {"missing": "does not exist", "file": "is a file", "empty": "holds no class folders"}[fault]
    refused(
        partial(load, class_tree),
        f"{class_tree / split} {words}",
        f"datamodule.{split}_dir",
        val_dir=str(class_tree / "val"),
    )


def test_val_beside_train_that_is_a_file_is_not_passed_over(class_tree: Path) -> None:
    (class_tree / "val").write_text("not a folder")
    refused(partial(load, class_tree), f"{class_tree / 'val'} is a file", val_dir="auto")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_empty_class_folder(class_tree: Path, split: str) -> None:
    shutil.copytree(class_tree / "test", class_tree / "val")
    for path in (class_tree / split / "cat").iterdir():
        path.rename(path.with_suffix(".gif"))
    refused(partial(load, class_tree), f"{class_tree / split / 'cat'} holds no image", ".png", val_dir="auto")


@pytest.mark.parametrize("split", ["val", "test"])
def test_class_that_train_has_not(class_tree: Path, split: str) -> None:
    shutil.copytree(class_tree / "test", class_tree / "val")
    (class_tree / split / "ant").rename(class_tree / split / "bee")
    refused(partial(load, class_tree), str(class_tree / split), "'bee'", "ant, cat", val_dir="auto")


def test_many_classes_are_not_all_listed(class_tree: Path) -> None:
    for index in range(30):
        shutil.copytree(class_tree / "train" / "ant", class_tree / "train" / f"c{index:02}")
    (class_tree / "test" / "ant").rename(class_tree / "test" / "bee")
    refused(partial(load, class_tree), "'bee'", "and 22 more")


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("fault", ["truncated", "text", "no bytes", "dangling link"])
def test_broken_image(class_tree: Path, split: str, fault: str) -> None:
    shutil.copytree(class_tree / "test", class_tree / "val")
    path = class_tree / split / "cat" / "1.png"
    if fault == "truncated":
        draw_image(0, 64, 64).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    elif fault == "text":
        path.write_text("this is no image")
    elif fault == "no bytes":
        path.write_bytes(b"")
    else:  # unreadable for root, too, as which tests may run
        path.unlink()
        path.symlink_to(path.parent / "gone.png")
    fault_said = "leads nowhere" if fault == "dangling link" else "cannot be read as an image"
    refused(partial(load, class_tree), f"{path} {fault_said}", "remove it", val_dir="auto")


def test_pixels_of_unknown_range_are_refused(class_tree: Path) -> None:
    path = class_tree / "test" / "ant" / "2.tif"
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(path)
    refused(partial(load, class_tree), f"{path} cannot be read as an image", "floating-point")
    Image.fromarray(np.full((8, 8), 70000, dtype=np.int32)).save(path)
    refused(partial(load, class_tree), f"{path} cannot be read as an image", "more than 16 bits")


# Fingerprint


def test_fingerprint_does_not_depend_on_the_place(class_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("moved") / "deeper"
    shutil.copytree(class_tree, moved)
    (moved / "test").rename(moved / "held")
    fingerprint = make(class_tree).fingerprint()
    assert fingerprint == make(moved, test_dirs=[str(moved / "held")]).fingerprint()
    assert fingerprint["dataset"] == "class_folder"
    assert re.fullmatch("[0-9a-f]{64}", fingerprint["files"])
    assert json.loads(json.dumps(fingerprint)) == fingerprint


@pytest.mark.parametrize(
    "change", ["longer", "renamed", "added", "removed", "other class", "val", "swapped", "other bytes"]
)
def test_fingerprint_tells_other_data(class_tree: Path, change: str) -> None:
    before, path = make(class_tree, val_dir="auto").fingerprint(), class_tree / "train" / "ant" / "0.png"
    if change == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    elif change == "other bytes":
        path.write_bytes(path.read_bytes()[::-1])
    elif change == "renamed":
        path.rename(path.with_name("00.png"))
    elif change == "added":
        shutil.copy(path, path.with_name("added.png"))
    elif change == "removed":
        path.unlink()
    elif change == "other class":
        path.rename(class_tree / "train" / "cat" / "moved.png")
    elif change == "val":
        shutil.copytree(class_tree / "test", class_tree / "val")
    else:
        (class_tree / "train").rename(class_tree / "aside")
        (class_tree / "test").rename(class_tree / "train")
        (class_tree / "aside").rename(class_tree / "test")
    assert make(class_tree, val_dir="auto").fingerprint() != before


def test_fingerprint_decodes_no_image_and_reads_no_other_file(class_tree: Path) -> None:
    path = class_tree / "train" / "ant" / "0.png"
    path.write_bytes(b"no image")
    before = make(class_tree).fingerprint()
    (class_tree / "train" / "ant" / "notes.txt").write_text("no image")
    assert make(class_tree).fingerprint() == before


def test_fingerprint_is_the_same_with_a_memory_and_without(class_tree: Path) -> None:
    kept = make(class_tree, store_dir=str(class_tree / "stores"))
    assert kept.fingerprint() == kept.fingerprint() == make(class_tree).fingerprint()


def test_fingerprint_refuses_what_reading_refuses(class_tree: Path) -> None:
    shutil.rmtree(class_tree / "test")
    with pytest.raises(ValueError, match="does not exist"):
        make(class_tree).fingerprint()
