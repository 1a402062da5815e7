"""Which files of a folder are images, what a folder can be wrong in, and what tells its data from other data."""

import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.files.listing import EXTENSIONS
from datamodules.image_folder import ImageFolder
from tests.datamodules.small_data import draw_image, refused


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Ten training images and two of each of two test sets."""
    for start, (part, count) in enumerate((("train", 10), ("Set2", 2), ("Kodak", 2), ("mine", 3))):
        (tmp_path / part).mkdir()
        for index in range(count):
            draw_image(100 * start + index, 12, 14).save(tmp_path / part / f"{index:02}.png")
    return tmp_path


def make(tree: Path, **options: Any) -> ImageFolder:
    folders = {"train_dir": str(tree / "train"), "val_dir": None, "test_dirs": [str(tree / "Set2")]}
    numbers = {"batch_size": 4, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 40}
    return ImageFolder(**{**folders, **numbers, "store_dir": str(tree / "stores"), **options})


def load(tree: Path, **options: Any) -> ImageFolder:
    data = make(tree, **options)
    data.load()
    return data


def names(data: ImageFolder) -> list[str]:
    return list(data.test["Set2"].names)


# What is read


def test_images_are_those_of_the_files_sorted_by_path(tree: Path) -> None:
    (tree / "Set2" / "01.d").mkdir()
    draw_image(5, 20, 11).save(tree / "Set2" / "01.d" / "b.png")
    test = load(tree).test["Set2"]
    assert list(test.names) == ["00.png", "01.d/b.png", "01.png"]
    for image, name in zip(test, test.names, strict=True):
        assert torch.equal(image, torch.tensor(np.asarray(Image.open(tree / "Set2" / name))).permute(2, 0, 1))


@pytest.mark.parametrize("suffix", [*EXTENSIONS, ".PNG", ".JpG"])
def test_formats_are_told_by_suffix_in_any_case(tree: Path, suffix: str) -> None:
    Image.new("RGB", (12, 12), (10, 120, 240)).save(tree / "Set2" / f"zz{suffix}")
    pixels = load(tree).test["Set2"][2].float()
    assert (pixels - torch.tensor([10, 120, 240]).view(3, 1, 1)).abs().max() < 6  # JPEG loses a bit


def test_other_files_and_hidden_ones_are_passed_over(tree: Path) -> None:
    for name in ("notes.txt", "._00.png", "old.gif", "Thumbs.db"):
        (tree / "Set2" / name).write_text("no image")
    (tree / "Set2" / "folder.png").mkdir()
    assert names(load(tree)) == ["00.png", "01.png"]


@pytest.mark.filterwarnings("ignore:.*/train. 10 of 10")
@pytest.mark.parametrize("channels", [3, 1])
def test_mixed_grey_and_colour(tree: Path, channels: int) -> None:
    grey = draw_image(8, 12, 14, 1)
    grey.save(tree / "Set2" / "00.png")
    with pytest.warns(UserWarning, match="Set2: 1 of 2 images are") as caught:
        data = load(tree, channels=channels)
    mine = [str(warning.message) for warning in caught if "Set2" in str(warning.message)]
    assert mine == [
        f"{tree / 'Set2'}: 1 of 2 images are " + ("grey and made colour" if channels == 3 else "colour and made grey")
    ]
    assert all(torch.equal(channel, torch.tensor(np.asarray(grey))) for channel in data.test["Set2"][0])
    assert data.model_arguments == {"channels": channels}


def test_sets_are_named_by_their_folders_in_the_order_given(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "Kodak")
    data = load(tree, test_dirs=[str(tree / "Set2") + "/", ".", "../mine"])
    assert {name: len(images) for name, images in data.test.items()} == {"Set2": 2, "Kodak": 2, "mine": 3}
    assert list(data.test) == ["Set2", "Kodak", "mine"]


def test_validation_folder_is_used_whole(tree: Path) -> None:
    data = load(tree, val_dir=str(tree / "mine"))
    assert (len(data.train), len(data.val)) == (10, 3)
    assert list(data.val.names) == ["00.png", "01.png", "02.png"]


# What is refused


@pytest.mark.parametrize(("part", "option"), [("train", "train_dir"), ("mine", "val_dir"), ("Set2", "test_dirs")])
@pytest.mark.parametrize("fault", ["missing", "file", "empty"])
def test_folder_that_is_none(tree: Path, part: str, option: str, fault: str) -> None:
    shutil.rmtree(tree / part)
    if fault == "file":
        (tree / part).write_text("not a folder")
    elif fault == "empty":
        (tree / part / "below").mkdir(parents=True)
        (tree / part / "notes.txt").write_text("no image")
    words = {"missing": "does not exist", "file": "is a file", "empty": "holds no image (.png .jpg"}[fault]
    for call in (load, lambda *a, **b: make(*a, **b).fingerprint()):
        refused(
            partial(call, tree),
            f"the folder {tree / part} {words}",
            f"point datamodule.{option} at",
            val_dir=tree / "mine",
        )


@pytest.mark.parametrize("part", ["train", "mine", "Set2"])
@pytest.mark.parametrize("fault", ["truncated", "text", "no bytes"])
def test_broken_image(tree: Path, part: str, fault: str) -> None:
    path = tree / part / "01.png"
    if fault == "truncated":
        draw_image(0, 64, 64).save(path)
    path.write_bytes({"truncated": path.read_bytes()[:2000], "text": b"this is no image", "no bytes": b""}[fault])
    refused(
        partial(load, tree), f"{path} cannot be read as an image", "repair or remove it", val_dir=str(tree / "mine")
    )


def test_link_that_leads_nowhere_is_not_left_out_in_silence(tree: Path) -> None:
    (tree / "Set2" / "02.png").symlink_to(tree / "gone.png")
    refused(
        partial(load, tree),
        f"the link {tree / 'Set2' / '02.png'} leads nowhere (to {tree / 'gone.png'}); mend or remove",
    )


@pytest.mark.parametrize("test_dirs", [[], "folder"])
def test_test_sets_are_a_list(tree: Path, test_dirs: Any) -> None:
    refused(partial(make, tree), f"datamodule.test_dirs={test_dirs}: write a list", test_dirs=test_dirs)


def test_sets_of_one_name_are_refused(tree: Path) -> None:
    (tree / "other" / "Set2").mkdir(parents=True)
    folders = [str(tree / "Set2"), str(tree / "other" / "Set2")]
    refused(
        partial(make, tree), f"datamodule.test_dirs={folders}", "two have the same name; rename one", test_dirs=folders
    )


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_of_channels(tree: Path, channels: int) -> None:
    refused(
        partial(make, tree), f"datamodule.channels={channels}: choose 3 for colour or 1 for grey", channels=channels
    )


@pytest.mark.parametrize("part", ["mine", "Set2"])
def test_images_too_small_to_be_evaluated_on(tree: Path, part: str) -> None:
    draw_image(0, 10, 40).save(tree / part / "01.png")
    name = {"mine": "validation", "Set2": "test set Set2"}[part]
    refused(
        partial(load, tree),
        f"01.png ({name}) is 40x10 pixels",
        "needs at least 11x11",
        "remove this image",
        val_dir=str(tree / "mine"),
    )
    draw_image(0, 11, 11).save(tree / part / "01.png")
    load(tree, val_dir=str(tree / "mine"))


# What tells this data from other data


def test_fingerprint_does_not_depend_on_the_place(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = {"val_dir": "mine", "test_dirs": ["Set2", "Kodak"]}
    monkeypatch.chdir(tree)
    here = make(tree, train_dir="train", **folders).fingerprint()
    assert str(tree) not in str(here)
    assert list(here["test"]) == ["Set2", "Kodak"]
    with_links = tree / "with_links"
    with_links.mkdir()
    for part in ("Set2", "Kodak"):  # on another disk, by another name, and a link to it
        (tree / part).rename(tree / f"moved_{part}")
        (with_links / part).symlink_to(tree / f"moved_{part}")
    (tree / "train").rename(with_links / "elsewhere")
    (tree / "mine").rename(with_links / "mine")
    monkeypatch.chdir(with_links)
    assert make(tree, train_dir="elsewhere", **folders).fingerprint() == here


def test_fingerprint_needs_no_decoding(tree: Path) -> None:
    make(tree).fingerprint()
    assert not list((tree / "stores").glob("*"))


@pytest.mark.parametrize("part", ["train", "mine", "Set2"])
@pytest.mark.parametrize("change", ["renamed", "one more", "one less", "other bytes", "other bytes, as many"])
def test_fingerprint_tells_other_files(tree: Path, part: str, change: str) -> None:
    folders = {"val_dir": str(tree / "mine"), "test_dirs": [str(tree / "Set2")]}
    before = make(tree, **folders).fingerprint()
    path = tree / part / "01.png"
    if change == "other bytes, as many":
        status, content = path.stat(), path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "renamed":
        path.rename(tree / part / "09b.png")
    elif change == "one more":
        draw_image(0, 12, 14).save(tree / part / "11.png")
    elif change == "one less":
        path.unlink()
    else:
        draw_image(0, 13, 13).save(path)
    assert make(tree, **folders).fingerprint() != before


def test_fingerprint_tells_which_folder_is_which(tree: Path) -> None:
    prints = [
        make(tree).fingerprint(),
        make(tree, val_dir=str(tree / "mine")).fingerprint(),
        make(tree, test_dirs=[str(tree / "mine")]).fingerprint(),
        make(tree, train_dir=str(tree / "Set2"), test_dirs=[str(tree / "train")]).fingerprint(),
    ]
    assert all(one != other for position, one in enumerate(prints) for other in prints[:position])


# Names


ODD_NAMES = [os.fsdecode(b"caf\xe9"), "line\nbreak", "\x1b[31mred", "küste", "a b", "-x", "=1+1"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_of_any_bytes_are_read_and_shown_as_text(
    tree: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "Set2").rename(tree / name)
    draw_image(7, 12, 14, 1).save(tree / name / f"{name}.png")
    with pytest.warns(UserWarning, match="1 of 3 images are grey") as caught:
        data = load(tree, test_dirs=[str(tree / name)])
    shown = name.encode("utf-8", "backslashreplace").decode()
    shown = shown.replace("\n", r"\n").replace("\x1b", r"\x1b")
    assert list(data.test) == [shown]
    assert f"{shown}.png" in data.test[shown].names
    said = capsys.readouterr().out.splitlines() + [str(warning.message) for warning in caught]
    assert len(said) == 3
    for text in (*said, *data.test, *data.test[shown].names, str(data.fingerprint())):
        assert text.isprintable()
        text.encode()
    (tree / name / f"{name}.png").write_text("no image")
    refused(partial(load, tree), f"{shown}.png cannot be read as an image", test_dirs=[str(tree / name)])
    (tree / name / f"{name}.png").unlink()
    (tree / name / f"{name}.png").symlink_to("gone")
    refused(partial(load, tree), f"{shown}.png leads nowhere", test_dirs=[str(tree / name)])
