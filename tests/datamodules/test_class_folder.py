import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from datamodules.files.listing import EXTENSIONS
from tests.datamodules.class_folders import load
from tests.datamodules.small_data import draw_image


def only_test_image(class_tree: Path, image: Image.Image, name: str = "one.png", **options: Any) -> torch.Tensor:
    """Return what becomes of an image, alone in the test folder of one class."""
    shutil.rmtree(class_tree / "test")
    (class_tree / "test" / "ant").mkdir(parents=True)
    image.save(class_tree / "test" / "ant" / name)
    return load(class_tree, **options).test.images[0]


# What is read


def test_images_and_classes_are_those_of_torchvisions_image_folder(class_tree: Path) -> None:
    data = load(class_tree)
    reference = ImageFolder(str(class_tree / "test"), v2.PILToTensor())
    assert data.classes == reference.classes == ["ant", "cat"]
    assert (data.num_classes, data.channels, data.image_size) == (2, 3, 8)
    assert data.test.images.dtype == torch.uint8
    assert data.test.labels.dtype == torch.int64
    assert torch.equal(data.test.images, torch.stack([image for image, _ in reference]))
    assert data.test.labels.tolist() == reference.targets


def test_images_keep_their_labels_when_some_are_held_out(class_tree: Path) -> None:
    data = load(class_tree, val_size=6)
    assert data.val.labels.bincount().tolist() == [3, 3]
    reference = ImageFolder(str(class_tree / "train"), v2.PILToTensor())
    written = sorted((image.numpy().tobytes(), label) for image, label in reference)
    parts = [pair for part in (data.train, data.val) for pair in zip(part.images, part.labels, strict=True)]
    assert sorted((image.numpy().tobytes(), int(label)) for image, label in parts) == written


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 13), (21, 8), (40, 30), (5, 9), (3, 3), (100, 1)])
@pytest.mark.parametrize("channels", [3, 1])
def test_size_is_made_as_torchvision_makes_it(class_tree: Path, height: int, width: int, channels: int) -> None:
    image = draw_image(1, height, width)
    mode = {3: "RGB", 1: "L"}[channels]
    pipeline = v2.Compose([v2.Resize(8, antialias=True), v2.CenterCrop(8), v2.PILToTensor()])
    pixels = only_test_image(class_tree, image, channels=channels)
    assert pixels.shape == (channels, 8, 8)
    assert torch.equal(pixels, pipeline(image.convert(mode)))


def test_downscaling_is_antialiased(class_tree: Path) -> None:
    stripes = Image.fromarray(np.tile(np.array([0, 255], dtype=np.uint8), (64, 32)))
    pixels = only_test_image(class_tree, stripes).float()
    assert pixels.mean() == pytest.approx(127.5, abs=2)
    assert pixels.std() < 16


def test_colour_becomes_grey_and_grey_becomes_colour(class_tree: Path) -> None:
    assert only_test_image(class_tree, Image.new("RGB", (8, 8), (255, 0, 0)), channels=1).unique().tolist() == [76]
    grey = draw_image(2, channels=1)
    pixels = only_test_image(class_tree, grey)
    assert all(torch.equal(channel, torch.from_numpy(np.array(grey))) for channel in pixels)


@pytest.mark.parametrize("suffix", [*EXTENSIONS, ".PNG", ".JpG"])
def test_formats_are_told_by_suffix_in_any_case(class_tree: Path, suffix: str) -> None:
    pixels = only_test_image(class_tree, Image.new("RGB", (8, 8), (10, 120, 240)), f"one{suffix}")
    assert (pixels.float() - torch.tensor([10, 120, 240]).view(3, 1, 1)).abs().max() < 6  # JPEG and WebP lose a bit


def test_other_files_are_passed_over_and_deeper_folders_are_read(class_tree: Path) -> None:
    (class_tree / "test" / "ant" / "notes.txt").write_text("no image")
    (class_tree / "test" / "overview.txt").write_text("no image")
    (class_tree / "test" / "ant" / "more").mkdir()
    draw_image(3).save(class_tree / "test" / "ant" / "more" / "2.png")
    assert load(class_tree).test.labels.tolist() == [0, 0, 0, 1, 1]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("channels", [3, 1])
def test_palette_is_looked_up(class_tree: Path, channels: int) -> None:
    colours = draw_image(4).quantize(16)
    colours.info["transparency"] = bytes([0, 128, *[255] * 14])
    pixels = only_test_image(class_tree, colours, channels=channels)
    expected = colours.convert("RGBA").convert({3: "RGB", 1: "L"}[channels])
    assert torch.equal(pixels, v2.functional.pil_to_tensor(expected))


@pytest.mark.filterwarnings("error")
def test_alpha_is_dropped(class_tree: Path) -> None:
    image = draw_image(5, channels=4)
    assert image.mode == "RGBA"
    assert torch.equal(only_test_image(class_tree, image), v2.functional.pil_to_tensor(image)[:3])


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("channels", [3, 1])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(class_tree: Path, channels: int, suffix: str) -> None:
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040
    values[0, :2] = 0, 65535
    pixels = only_test_image(class_tree, Image.fromarray(values), f"one{suffix}", channels=channels)
    expected = torch.from_numpy(np.round(values / 257).astype(np.uint8))
    assert all(torch.equal(channel, expected) for channel in pixels)


@pytest.mark.parametrize("mode", ["1", "LA", "CMYK"])
def test_other_modes_are_converted(class_tree: Path, mode: str) -> None:
    image = draw_image(6).convert(mode)
    pixels = only_test_image(class_tree, image, "one.tif")
    assert torch.equal(pixels, v2.functional.pil_to_tensor(image.convert("RGB")))


# Which folder is validated on


def test_named_validation_folder_is_used(class_tree: Path) -> None:
    shutil.copytree(class_tree / "test", class_tree / "mine")
    data = load(class_tree, val_dir=str(class_tree / "mine"))
    assert torch.equal(data.val.images, data.test.images)
    assert len(data.train.labels) == 20


@pytest.mark.parametrize(("val_dir", "held"), [("auto", 4), (None, 2)])
def test_auto_finds_the_folder_beside_train_and_null_does_not(class_tree: Path, val_dir: str, held: int) -> None:
    assert len(load(class_tree, val_dir=val_dir).val.labels) == 2
    shutil.copytree(class_tree / "test", class_tree / "val")
    assert len(load(class_tree, val_dir=val_dir).val.labels) == held


def test_auto_finds_it_from_within_train(class_tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(class_tree / "test", class_tree / "val")
    monkeypatch.chdir(class_tree / "train")
    assert len(load(class_tree, val_dir="auto", train_dir=".").val.labels) == 4


def test_test_folder_may_lack_a_class(class_tree: Path) -> None:
    shutil.rmtree(class_tree / "test" / "ant")
    assert load(class_tree).test.labels.tolist() == [1, 1]


def test_train_subset_and_measured_statistics(class_tree: Path) -> None:
    data = load(class_tree, train_subset=10, channels=1)
    assert (len(data.train.labels), len(data.val.labels)) == (9, 1)
    assert data.mean == pytest.approx([(data.train.images.double() / 255).mean().item()])
    images, labels = next(iter(data.train_dataloader()))
    assert images.shape == (4, 1, 8, 8)
    assert labels.shape == (4,)
