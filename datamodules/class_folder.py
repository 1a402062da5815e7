"""Anybody's images in class folders: `train/<class>/*.png`, and val and test likewise."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.datasets.folder import find_classes, make_dataset
from torchvision.transforms.v2 import functional as F

from datamodules.classification import ClassificationDataModule, LabelledImageSet, Splits
from datamodules.files.decode import open_image

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
OPTIONS = {"train": "datamodule.train_dir", "val": "datamodule.val_dir", "test": "datamodule.test_dirs"}

Listing = list[tuple[str, int]]  # path and class of each image


class ClassFolder(ClassificationDataModule):
    """Images of one folder a class, brought to one size and held in memory.

    The shorter side is scaled to `image_size` and the centre square cut out; an image that has that size
    already is left as it is. Colour or grey is made as `datamodules.files.decode.open_image` says. As in torchvision's
    ImageFolder, the classes are the folders' names in sorted order, images may lie in folders further down, and
    files of other types are passed over.

    Args:
        train_dir: the folder of the training classes.
        val_dir: the same for validation; "auto" for the folder `val` beside `train_dir` if there is one; None
            to hold out `val_size` of the training images, as is done where "auto" finds nothing.
        test_dirs: the test folder, a list of exactly one.
        image_size: height and width, in pixels.
        channels: 3 for colour, 1 for grey.
        **options: as in `ClassificationDataModule`.

    Raises:
        ValueError: an option has a value that makes no sense.
    """

    def __init__(
        self,
        train_dir: str,
        val_dir: str | None,
        test_dirs: list[str],
        image_size: int,
        channels: int,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if channels not in (1, 3):
            raise ValueError(f"datamodule.channels={channels}: choose 3 for colour or 1 for grey")
        if image_size < 1:
            raise ValueError(f"datamodule.image_size={image_size}: choose a number of pixels from 1 up")
        if isinstance(test_dirs, str) or len(test_dirs) != 1:
            raise ValueError(
                f"datamodule.test_dirs={test_dirs}: classification is tested on one folder; "
                "write datamodule.test_dirs=[FOLDER]"
            )
        self.train_dir = Path(train_dir)
        self.val_dir = val_dir
        self.test_dir = Path(test_dirs[0])
        self.image_size = image_size
        self.channels = channels

    def fingerprint(self) -> dict[str, Any]:
        """Return a digest of the images' names and sizes, whatever folder they lie in.

        Raises:
            ValueError: as `read`, but no image is opened.
            OSError: a folder cannot be listed.
        """
        digest = hashlib.sha256()
        for split, folder, images, _ in self._listings():
            files = sorted((Path(path).relative_to(folder).as_posix(), _size(path)) for path, _ in images)
            digest.update(json.dumps([split, files]).encode())
        return {"dataset": "class_folder", "files": digest.hexdigest()}

    def read(self) -> Splits:
        """Decode all images."""
        # Everything is listed before anything is decoded: a wrong folder shows at once.
        listings = list(self._listings())
        classes = listings[0][-1]
        parts = {split: self._decode(images) for split, _, images, _ in listings}
        return Splits(parts["train"], parts.get("val"), parts["test"], classes)

    def _listings(self) -> Iterator[tuple[str, Path, Listing, list[str]]]:
        """Yield each split's name, folder and images, and the classes of train."""
        classes = _classes("train", self.train_dir)
        yield "train", self.train_dir, _images("train", self.train_dir, classes, classes), classes
        others = {"val": self._validation_folder(), "test": self.test_dir}
        for split, folder in others.items():
            if folder is not None:
                found = _classes(split, folder)
                yield split, folder, _images(split, folder, found, classes), classes

    def _validation_folder(self) -> Path | None:
        if self.val_dir != "auto":
            return None if self.val_dir is None else Path(self.val_dir)
        beside = self.train_dir.absolute().parent / "val"
        return beside if beside.exists() else None

    def _decode(self, images: Listing) -> LabelledImageSet:
        pixels = torch.empty(len(images), self.channels, self.image_size, self.image_size, dtype=torch.uint8)
        # Threads, because Pillow lets go of the interpreter lock while it decodes and scales.
        with ThreadPoolExecutor() as pool:
            for position, image in enumerate(pool.map(self._load_image, (path for path, _ in images))):
                pixels[position] = image
        return LabelledImageSet(pixels, torch.tensor([label for _, label in images]))

    def _load_image(self, path: str) -> Tensor:
        image, _ = open_image(path, self.channels)
        square = F.center_crop(F.resize(image, [self.image_size]), [self.image_size])
        pixels: Tensor = F.pil_to_tensor(square)
        return pixels


def _classes(split: str, folder: Path) -> list[str]:
    """Return the names of the class folders."""
    layout = f"point {OPTIONS[split]} at a folder that holds one folder of images a class"
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"the {split} folder {folder} {found}; {layout}")
    try:
        classes: list[str] = find_classes(folder)[0]
    except FileNotFoundError as error:
        raise ValueError(f"the {split} folder {folder} holds no class folders; {layout}") from error
    return classes


def _images(split: str, folder: Path, found: list[str], classes: list[str]) -> Listing:
    """List the images of the class folders found, each with its position among the classes of train."""
    positions = {name: position for position, name in enumerate(classes)}
    for name in found:
        if name not in positions:
            raise ValueError(
                f"the {split} folder {folder} holds {name!r}, which is no class folder of train; "
                f"rename or remove it, or add it to train (classes there: {_some(classes)})"
            )
    images: Listing = make_dataset(folder, {name: positions[name] for name in found}, EXTENSIONS, allow_empty=True)
    filled = {label for _, label in images}
    for name in found:
        if positions[name] not in filled:
            raise ValueError(
                f"the class folder {folder / name} holds no image ({' '.join(EXTENSIONS)}); fill or remove it"
            )
    return images


def _some(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _size(path: str) -> int:
    return Path(path).stat().st_size
