"""One rule for which files of a folder are images, on trees that are drawn at random and on each kind of leftover."""

import os
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from datamodules.class_folder import ClassFolder
from datamodules.files.listing import EXTENSIONS, find_folders, find_images
from datamodules.image_folder import ImageFolder
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference import photo
from wconv.experiment.inference.photo_paths import plan

LEFTOVER_FOLDERS = [
    *(".ipynb_checkpoints", ".AppleDouble", ".@__thumb", ".Trash-1000", ".git", "__MACOSX", "@eaDir", "@EADIR"),
    *("#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot", "$RECYCLE.BIN", "System Volume Information"),
    *("@SynoResource", "@sharebin", "RECYCLED", "found.000"),
    *("lost+found", "~snapshot", "__pycache__", "Temporary Items"),
]
LEFTOVER_FILES = ["._0.png", ".0.png.swp.png", ".hidden.tif", "SYNOPHOTO_THUMB_M.jpg", "SYNOFILE_THUMB_XL.png"]
NO_IMAGES = ["Thumbs.db", "desktop.ini", "0.png.part", "0.png.crdownload", "0.png~", "notes.txt", "0png", "0.png.tmp"]


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)).save(path, "PNG")


def names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_images(folder)]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Class folders to train with and to test on, which are images to denoise as well."""
    for part, count in (("train", 10), ("test", 2)):
        for position, name in enumerate(("ant", "cat")):
            for index in range(count):
                draw(tmp_path / part / name / f"{index}.png", 100 * position + index)
    return tmp_path


def classes(tree: Path) -> ClassFolder:
    folders = {"train_dir": str(tree / "train"), "val_dir": None, "test_dirs": [str(tree / "test")]}
    return ClassFolder(**folders, image_size=8, channels=3, batch_size=4, seed=0)


def images(tree: Path) -> ImageFolder:
    folders = {"train_dir": str(tree / "train"), "val_dir": None, "test_dirs": [str(tree / "test")]}
    numbers = {"batch_size": 4, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 40}
    return ImageFolder(**folders, **numbers, store_dir=str(tree / "stores"))


def everything(tree: Path) -> dict[str, object]:
    """Return what each loader and command makes of the tree."""
    labelled, clean = classes(tree), images(tree)
    labelled.load()
    clean.load()
    return {
        "classes": labelled.classes,
        "labels": labelled.train.labels.tolist() + labelled.test.labels.tolist(),
        "pixels": labelled.test.images.tolist(),
        "train": [*clean.train.names, *clean.val.names],
        "test": list(clean.test["test"].names),
        "fingerprints": [labelled.fingerprint(), clean.fingerprint()],
        "photos": {str(target) for target in plan([tree / "test"], Path("out"), find_images)},
    }


# What systems leave


@pytest.mark.filterwarnings("error")
def test_leftovers_change_nothing_for_anybody(tree: Path) -> None:
    before = everything(tree)
    for place in (tree / "train", tree / "train" / "ant", tree / "test", tree / "test" / "cat"):
        for name in LEFTOVER_FOLDERS:
            draw(place / name / "0-checkpoint.png")
            draw(place / name / "deep" / "0.png")
        for name in LEFTOVER_FILES + NO_IMAGES:
            (place / name).write_bytes(b"\0\5\x16\7")
        os.mkfifo(place / "pipe.png")
        (place / ".#lock").symlink_to("nobody@nowhere")
    assert everything(tree) == before


def test_a_folder_that_is_named_itself_may_be_called_anything(tmp_path: Path) -> None:
    for name in (".cache", "@eaDir"):
        draw(tmp_path / name / "0.png")
        assert names(tmp_path / name) == ["0.png"]


# What is read, and what is counted


def test_formats_are_those_of_photos_in_any_case(tmp_path: Path) -> None:
    assert EXTENSIONS == photo.EXTENSIONS
    for suffix in EXTENSIONS:
        for name in (f"lower{suffix}", f"upper{suffix.upper()}"):
            draw(tmp_path / name)
    assert len(names(tmp_path)) == 2 * len(EXTENSIONS)


def test_images_of_other_formats_are_counted_in_one_warning(tree: Path) -> None:
    for name in ("a.gif", "b.GIF", "deep/c.heic", "d.avif", "e.apng", "f.NRW", "g.qoi"):
        draw(tree / "test" / "ant" / name)
    words = (
        "images of formats that are not read are passed over (1 .apng, 1 .avif, 2 .gif, 1 .heic, 1 .nrw, 1 .qoi); "
        "save them as PNG to use them"
    )
    for data in (classes(tree), images(tree)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")  # as a program has it
            data.fingerprint()
            data.load()
        assert [str(entry.message) for entry in caught] == [f"{tree / 'test'}: {words}"]
    with pytest.warns(UserWarning, match="2 .gif"):
        plan([tree / "test"], Path("out"), find_images)


# Links


def test_links_are_followed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    before = everything(tree)
    for name in ("ant", "cat"):
        (tree / "train" / name).rename(elsewhere / name)
        (tree / "train" / name).symlink_to(elsewhere / name)
    (tree / "test" / "ant").rename(elsewhere / "set")
    (tree / "test" / "ant").mkdir()
    for path in (elsewhere / "set").iterdir():
        (tree / "test" / "ant" / path.name).symlink_to(path)
    assert everything(tree) == before


@pytest.mark.filterwarnings("error")
def test_links_that_go_round_in_circles_change_nothing(tree: Path) -> None:
    before = everything(tree)
    (tree / "test" / "ant" / "self").symlink_to(".")
    (tree / "test" / "ant" / "up").symlink_to("..")
    (tree / "test" / "ant" / "above").symlink_to(tree)
    (tree / "test" / "root").symlink_to("/")
    (tree / "train" / "loop").symlink_to(tree / "train")
    assert everything(tree) == before


def test_folders_that_link_to_each_other_are_there_twice_and_not_for_ever(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    draw(tmp_path / "b" / "2.png")
    (tmp_path / "a" / "x").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "y").symlink_to(tmp_path / "a")
    assert names(tmp_path) == ["a/1.png", "a/x/2.png", "b/2.png", "b/y/1.png"]


def test_a_whole_folder_that_is_a_link_to_nowhere_is_named(tree: Path) -> None:
    link = tree / "train"
    link.rename(tree / "elsewhere")
    link.symlink_to("gone")
    for load in (classes, images):
        with pytest.raises(ValueError, match="leads nowhere") as caught:
            load(tree).fingerprint()
        assert str(caught.value) == f"the link {link} leads nowhere (to gone); mend or remove it"


@pytest.mark.parametrize("name", ["9.png", "more", "set.v2"])
@pytest.mark.parametrize("target", ["gone", "deep/gone.png", "ITSELF"])
def test_a_link_that_leads_nowhere_is_named(tree: Path, name: str, target: str) -> None:
    link = tree / "test" / "cat" / name
    link.symlink_to(target.replace("ITSELF", name))
    calls: list[Callable[[], object]] = [
        classes(tree).fingerprint,
        classes(tree).load,
        images(tree).fingerprint,
        images(tree).load_test,
        lambda: plan([tree / "test"], Path("out"), find_images),
        lambda: plan([link], Path("out"), find_images),
    ]
    for call in calls:
        with pytest.raises((ValueError, ConfigError)) as caught:
            call()
        assert str(caught.value) == f"the link {link} leads nowhere (to {link.readlink()}); mend or remove it"


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(folder: Path) -> list[str]:  # root may list every folder, and tests may run as root
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("datamodules.files.listing.os", SimpleNamespace(listdir=refuse))
    with pytest.raises(ValueError, match="cannot be listed \\(Permission denied\\); make it readable or remove it"):
        find_images(tmp_path)


# Any tree


@pytest.mark.parametrize("seed", range(20))
def test_a_random_tree_has_the_images_that_were_put_there(tmp_path: Path, seed: int) -> None:
    """Draw folders, files and links, and note what each means as they are made."""
    chance = random.Random(seed)
    root, outside = tmp_path / "root", tmp_path / "outside"
    expected: set[str] = set()
    folders = [(root, True)]  # and whether their images count
    outside.mkdir()
    root.mkdir()
    draw(outside / "one.png")
    draw(outside / "linked" / "two.png")
    for number in range(60):
        folder, counts = chance.choice(folders)
        kind = chance.choice(["image", "folder", "leftover", "file", "link", "folder link", "circle", "other"])
        path = folder / f"{number}{chance.choice(['', ' ', 'é', chr(10), chr(27), os.fsdecode(bytes([0xE9]))])}"
        if kind == "folder":
            path.mkdir()
            folders.append((path, counts))
        elif kind == "leftover":
            path = folder / chance.choice(LEFTOVER_FOLDERS)
            if not path.exists():
                path.mkdir()
                folders.append((path, False))
        elif kind == "image":
            path = path.with_name(path.name + chance.choice(EXTENSIONS).swapcase())
            path.write_bytes(b"")
            expected |= {path.relative_to(root).as_posix()} if counts else set()
        elif kind == "file":
            (folder / chance.choice(LEFTOVER_FILES + NO_IMAGES)).write_bytes(b"")
        elif kind == "link":
            path = path.with_name(f"{path.name}.png")
            path.symlink_to(outside / "one.png")
            expected |= {path.relative_to(root).as_posix()} if counts else set()
        elif kind == "folder link":
            path.symlink_to(outside / "linked")
            expected |= {(path / "two.png").relative_to(root).as_posix()} if counts else set()
        elif kind == "circle":
            path.symlink_to(chance.choice([folder, *folder.parents]))
        else:
            path.with_name(f"{path.name}.gif").write_bytes(b"")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert names(root) == sorted(expected)
        assert {path.name for path in find_folders(root)} == {
            path.name for path in root.iterdir() if path.is_dir() and path.name not in LEFTOVER_FOLDERS
        } - {path.name for path in root.iterdir() if path.is_symlink() and root.is_relative_to(path.resolve())}
