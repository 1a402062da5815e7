import json
import re
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from datamodules.class_folder import ClassFolder
from datamodules.files.listing import EXTENSIONS


def draw_image(seed: int, height: int = 8, width: int = 8, channels: int = 3) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two classes, ten training and two test images of each, 8x8."""
    seeds = count(100)
    for split, images in (("train", 10), ("test", 2)):
        for name in ("cat", "ant"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(images):
                draw_image(next(seeds)).save(tmp_path / split / name / f"{index}.png")
    return tmp_path


def make(tree: Path, **options: Any) -> ClassFolder:
    folders = {"train_dir": str(tree / "train"), "val_dir": None, "test_dirs": [str(tree / "test")]}
    return ClassFolder(**{**folders, "image_size": 8, "channels": 3, "batch_size": 4, "seed": 0, **options})


def load(tree: Path, **options: Any) -> ClassFolder:
    data = make(tree, **options)
    data.load()
    return data


def refused(tree: Path, *words: str, **options: Any) -> None:
    with pytest.raises(ValueError, match=re.escape(words[0])) as caught:
        load(tree, **options)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def only_test_image(tree: Path, image: Image.Image, name: str = "one.png", **options: Any) -> torch.Tensor:
    """Return what becomes of an image, alone in the test folder of one class."""
    shutil.rmtree(tree / "test")
    (tree / "test" / "ant").mkdir(parents=True)
    image.save(tree / "test" / "ant" / name)
    return load(tree, **options).test.images[0]


# What is read


def test_images_and_classes_are_those_of_torchvisions_image_folder(tree: Path) -> None:
    data = load(tree)
    reference = ImageFolder(str(tree / "test"), v2.PILToTensor())
    assert data.classes == reference.classes == ["ant", "cat"]
    assert (data.num_classes, data.channels, data.image_size) == (2, 3, 8)
    assert data.test.images.dtype == torch.uint8
    assert data.test.labels.dtype == torch.int64
    assert torch.equal(data.test.images, torch.stack([image for image, _ in reference]))
    assert data.test.labels.tolist() == reference.targets


def test_images_keep_their_labels_when_some_are_held_out(tree: Path) -> None:
    data = load(tree, val_size=6)
    assert data.val.labels.bincount().tolist() == [3, 3]
    reference = ImageFolder(str(tree / "train"), v2.PILToTensor())
    written = sorted((image.numpy().tobytes(), label) for image, label in reference)
    parts = [pair for part in (data.train, data.val) for pair in zip(part.images, part.labels, strict=True)]
    assert sorted((image.numpy().tobytes(), int(label)) for image, label in parts) == written


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 13), (21, 8), (40, 30), (5, 9), (3, 3), (100, 1)])
@pytest.mark.parametrize("channels", [3, 1])
def test_size_is_made_as_torchvision_makes_it(tree: Path, height: int, width: int, channels: int) -> None:
    image = draw_image(1, height, width)
    mode = {3: "RGB", 1: "L"}[channels]
    pipeline = v2.Compose([v2.Resize(8, antialias=True), v2.CenterCrop(8), v2.PILToTensor()])
    pixels = only_test_image(tree, image, channels=channels)
    assert pixels.shape == (channels, 8, 8)
    assert torch.equal(pixels, pipeline(image.convert(mode)))


def test_downscaling_is_antialiased(tree: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (64, 32)))
    pixels = only_test_image(tree, stripes).float()
    assert pixels.mean() == pytest.approx(127.5, abs=2)
    assert pixels.std() < 16


def test_colour_becomes_grey_and_grey_becomes_colour(tree: Path) -> None:
    assert only_test_image(tree, Image.new("RGB", (8, 8), (255, 0, 0)), channels=1).unique().tolist() == [76]
    grey = draw_image(2, channels=1)
    pixels = only_test_image(tree, grey)
    assert all(torch.equal(channel, torch.from_numpy(np.array(grey))) for channel in pixels)


@pytest.mark.parametrize("suffix", [*EXTENSIONS, ".PNG", ".JpG"])
def test_formats_are_told_by_suffix_in_any_case(tree: Path, suffix: str) -> None:
    pixels = only_test_image(tree, Image.new("RGB", (8, 8), (10, 120, 240)), f"one{suffix}")
    assert (pixels.float() - torch.tensor([10, 120, 240]).view(3, 1, 1)).abs().max() < 6  # JPEG and WebP lose a bit


def test_other_files_are_passed_over_and_deeper_folders_are_read(tree: Path) -> None:
    (tree / "test" / "ant" / "notes.txt").write_text("no image")
    (tree / "test" / "overview.txt").write_text("no image")
    (tree / "test" / "ant" / "more").mkdir()
    draw_image(3).save(tree / "test" / "ant" / "more" / "2.png")
    assert load(tree).test.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("channels", [3, 1])
def test_palette_is_looked_up(tree: Path, channels: int) -> None:
    colours = draw_image(4).quantize(16)
    colours.info["transparency"] = bytes([0, 128, *[255] * 14])
    pixels = only_test_image(tree, colours, channels=channels)
    expected = colours.convert("RGBA").convert({3: "RGB", 1: "L"}[channels])
    assert torch.equal(pixels, v2.functional.pil_to_tensor(expected))


@pytest.mark.filterwarnings("error")
def test_alpha_is_dropped(tree: Path) -> None:
    image = draw_image(5, channels=4)
    assert image.mode == "RGBA"
    assert torch.equal(only_test_image(tree, image), v2.functional.pil_to_tensor(image)[:3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 1])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(tree: Path, channels: int, suffix: str) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    values[0, :2] = 0, 65535
    pixels = only_test_image(tree, Image.fromarray(values), f"one{suffix}", channels=channels)
    expected = torch.from_numpy(np.round(values / 257).astype(np.uint8))
    assert all(torch.equal(channel, expected) for channel in pixels)


@pytest.mark.parametrize("mode", ["1", "LA", "CMYK"])
def test_other_modes_are_converted(tree: Path, mode: str) -> None:
    image = draw_image(6).convert(mode)
    pixels = only_test_image(tree, image, "one.tif")
    assert torch.equal(pixels, v2.functional.pil_to_tensor(image.convert("RGB")))


# Which folder is validated on


def test_named_validation_folder_is_used(tree: Path) -> None:
    shutil.copytree(tree / "test", tree / "mine")
    data = load(tree, val_dir=str(tree / "mine"))
    assert torch.equal(data.val.images, data.test.images)
    assert len(data.train.labels) == 20


@pytest.mark.parametrize(("val_dir", "held"), [("auto", 4), (None, 2)])
def test_auto_finds_the_folder_beside_train_and_null_does_not(tree: Path, val_dir: str, held: int) -> None:
    assert len(load(tree, val_dir=val_dir).val.labels) == 2
    shutil.copytree(tree / "test", tree / "val")
    assert len(load(tree, val_dir=val_dir).val.labels) == held


def test_auto_finds_it_from_within_train(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tree / "test", tree / "val")
    monkeypatch.chdir(tree / "train")
    assert len(load(tree, val_dir="auto", train_dir=".").val.labels) == 4


def test_test_folder_may_lack_a_class(tree: Path) -> None:
    shutil.rmtree(tree / "test" / "ant")
    assert load(tree).test.labels.tolist() == [1, 1]


def test_train_subset_and_measured_statistics(tree: Path) -> None:
    data = load(tree, train_subset=10, channels=1)
    assert (len(data.train.labels), len(data.val.labels)) == (9, 1)
    assert data.mean == pytest.approx([(data.train.images.double() / 255).mean().item()])
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (4, 1, 8, 8)
    assert labels.shape == (4,)


# What is refused


def test_options_that_make_no_sense(tree: Path) -> None:
    refused(tree, "datamodule.channels=2", "3 for colour or 1 for grey", channels=2)
    refused(tree, "datamodule.image_size=0", "from 1 up", image_size=0)


@pytest.mark.parametrize("test_dirs", [[], ["one", "two"], "x"])
def test_classification_needs_exactly_one_test_folder(tree: Path, test_dirs: Any) -> None:
    refused(tree, "datamodule.test_dirs=", "is tested on one folder", test_dirs=test_dirs)


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("fault", ["missing", "file", "empty"])
def test_folder_that_is_none(tree: Path, split: str, fault: str) -> None:
    shutil.copytree(tree / "test", tree / "val")
    shutil.rmtree(tree / split)
    if fault == "file":
        (tree / split).write_text("not a folder")
    elif fault == "empty":
        (tree / split).mkdir()
        draw_image(0).save(tree / split / "loose.png")
    words = {"missing": "does not exist", "file": "is a file", "empty": "holds no class folders"}[fault]
    refused(tree, f"{tree / split} {words}", f"datamodule.{split}_dir", val_dir=str(tree / "val"))


def test_val_beside_train_that_is_a_file_is_not_passed_over(tree: Path) -> None:
    (tree / "val").write_text("not a folder")
    refused(tree, f"{tree / 'val'} is a file", val_dir="auto")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_empty_class_folder(tree: Path, split: str) -> None:
    shutil.copytree(tree / "test", tree / "val")
    for path in (tree / split / "cat").iterdir():
        path.rename(path.with_suffix(".gif"))
    refused(tree, f"{tree / split / 'cat'} holds no image", ".png", val_dir="auto")


@pytest.mark.parametrize("split", ["val", "test"])
def test_class_that_train_has_not(tree: Path, split: str) -> None:
    shutil.copytree(tree / "test", tree / "val")
    (tree / split / "ant").rename(tree / split / "bee")
    refused(tree, str(tree / split), "'bee'", "ant, cat", val_dir="auto")


def test_many_classes_are_not_all_listed(tree: Path) -> None:
    for index in range(30):
        shutil.copytree(tree / "train" / "ant", tree / "train" / f"c{index:02}")
    (tree / "test" / "ant").rename(tree / "test" / "bee")
    refused(tree, "'bee'", "and 22 more")


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("fault", ["truncated", "text", "no bytes", "dangling link"])
def test_broken_image(tree: Path, split: str, fault: str) -> None:
    shutil.copytree(tree / "test", tree / "val")
    path = tree / split / "cat" / "1.png"
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
    refused(tree, f"{path} {fault_said}", "remove it", val_dir="auto")


def test_pixels_of_unknown_range_are_refused(tree: Path) -> None:
    path = tree / "test" / "ant" / "2.tif"
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(path)
    refused(tree, f"{path} cannot be read as an image", "floating-point")
    Image.fromarray(np.full((8, 8), 70000, dtype=np.int32)).save(path)
    refused(tree, f"{path} cannot be read as an image", "more than 16 bits")


# Fingerprint


def test_fingerprint_does_not_depend_on_the_place(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    moved = tmp_path_factory.mktemp("moved") / "deeper"
    shutil.copytree(tree, moved)
    (moved / "test").rename(moved / "held")
    fingerprint = make(tree).fingerprint()
    assert fingerprint == make(moved, test_dirs=[str(moved / "held")]).fingerprint()
    assert fingerprint["dataset"] == "class_folder"
    assert re.fullmatch("[0-9a-f]{64}", fingerprint["files"])
    assert json.loads(json.dumps(fingerprint)) == fingerprint


@pytest.mark.parametrize(
    "change", ["longer", "renamed", "added", "removed", "other class", "val", "swapped", "other bytes"]
)
def test_fingerprint_tells_other_data(tree: Path, change: str) -> None:
    before, path = make(tree, val_dir="auto").fingerprint(), tree / "train" / "ant" / "0.png"
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
        path.rename(tree / "train" / "cat" / "moved.png")
    elif change == "val":
        shutil.copytree(tree / "test", tree / "val")
    else:
        (tree / "train").rename(tree / "aside")
        (tree / "test").rename(tree / "train")
        (tree / "aside").rename(tree / "test")
    assert make(tree, val_dir="auto").fingerprint() != before


def test_fingerprint_decodes_no_image_and_reads_no_other_file(tree: Path) -> None:
    path = tree / "train" / "ant" / "0.png"
    path.write_bytes(b"no image")
    before = make(tree).fingerprint()
    (tree / "train" / "ant" / "notes.txt").write_text("no image")
    assert make(tree).fingerprint() == before


def test_fingerprint_is_the_same_with_a_memory_and_without(tree: Path) -> None:
    kept = make(tree, store_dir=str(tree / "stores"))
    assert kept.fingerprint() == kept.fingerprint() == make(tree).fingerprint()


def test_fingerprint_refuses_what_reading_refuses(tree: Path) -> None:
    shutil.rmtree(tree / "test")
    with pytest.raises(ValueError, match="does not exist"):
        make(tree).fingerprint()
