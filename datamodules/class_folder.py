"""Your own labelled images, in class folders: `train/<class>/*.png`, and val and test likewise."""

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from datamodules.classification import ClassificationDataModule, LabelledImageSet, Splits
from datamodules.files.checksums import content_digest
from datamodules.files.decode import open_image
from datamodules.files.listing import EXTENSIONS, find_folders, find_images, refuse_dead_link
from datamodules.files.names import printable

OPTIONS = {"train": "datamodule.train_dir", "val": "datamodule.val_dir", "test": "datamodule.test_dirs"}
MOST_NAMES = 10  # classes that a sentence lists

Listing = list[tuple[Path, int]]  # path and class of each image


class ClassFolder(ClassificationDataModule):
    """Images in one folder per class, resized to one size and held in memory.

    The shorter side is scaled to `image_size` and the centre square is cropped; an image of that size stays unchanged.
    `datamodules.files.decode.open_image` describes the conversion to colour or grey. As in torchvision's ImageFolder,
    the classes are the sorted names of the folders, and images may lie in subfolders of these;
    `datamodules.files.listing` and docs/images.md define which files are images and which folders are classes.

    Args:
        train_dir: the folder of the training classes.
        val_dir: the same for validation; "auto" for the folder `val` next to `train_dir` if there is one; None, or
            "auto" without such a folder, to hold out `val_size` of the training images.
        test_dirs: the test folder, a list of exactly one.
        image_size: height and width, in pixels.
        channels: 3 for colour, 1 for grey.
        store_dir: folder that caches the checksums of the images; None to compute them every time.
        **options: as in `ClassificationDataModule`.

    Raises:
        ValueError: an option has an invalid value.
    """

    def __init__(
        self,
        train_dir: str,
        val_dir: str | None,
        test_dirs: list[str],
        image_size: int,
        channels: int,
        store_dir: str | None = None,
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
        self.store_dir = None if store_dir is None else Path(store_dir)

    def fingerprint(self) -> dict[str, Any]:
        """Return a digest of the names and contents of the images, independent of where the folders lie.

        Raises:
            ValueError: as in `read`, except for images that cannot be decoded.
            OSError: a file cannot be read.
        """
        digest = hashlib.sha256()
        for split, folder, images, _ in self._listings():
            content = content_digest([path for path, _ in images], folder, self.store_dir)
            digest.update(json.dumps([split, content]).encode())
        return {"dataset": "class_folder", "files": digest.hexdigest()}

    def read(self) -> Splits:
        """Decode all images."""
        # All folders are listed before any image is decoded, so that a wrong folder is reported at once.
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
        # Threads suffice: Pillow releases the GIL while it decodes and resizes.
        with ThreadPoolExecutor() as pool:
            for position, image in enumerate(pool.map(self._load_image, (path for path, _ in images))):
                pixels[position] = image
        return LabelledImageSet(pixels, torch.tensor([label for _, label in images]))

    def _load_image(self, path: Path) -> Tensor:
        image, _ = open_image(path, self.channels)
        square = F.center_crop(F.resize(image, [self.image_size]), [self.image_size])
        pixels: Tensor = F.pil_to_tensor(square)
        return pixels


def _classes(split: str, folder: Path) -> list[str]:
    """Return the names of the class folders."""
    layout = f"point {OPTIONS[split]} at a folder that holds one folder of images per class"
    refuse_dead_link(folder)
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"the {split} folder {printable(folder)} {found}; {layout}")
    classes = [path.name for path in find_folders(folder)]
    if not classes:
        raise ValueError(f"the {split} folder {printable(folder)} holds no class folders; {layout}")
    return classes


def _images(split: str, folder: Path, found: list[str], classes: list[str]) -> Listing:
    """List the images of the class folders found, each with its position among the classes of train."""
    positions = {name: position for position, name in enumerate(classes)}
    for name in found:
        if name not in positions:
            raise ValueError(
                f"the {split} folder {printable(folder)} holds {name!r}, which is no class folder of train; "
                f"rename or remove it, or add it to train (classes there: {_some(classes)})"
            )
    by_class: dict[str, list[Path]] = {name: [] for name in found}
    for path in find_images(folder):
        name, *below = path.relative_to(folder).parts
        if below:  # images outside the class folders belong to no class
            by_class[name].append(path)
    for name, paths in by_class.items():
        if not paths:
            raise ValueError(
                f"the class folder {printable(folder / name)} holds no image ({' '.join(EXTENSIONS)}); "
                "fill or remove it"
            )
    return [(path, positions[name]) for name, paths in by_class.items() for path in paths]


def _some(names: list[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:MOST_NAMES])
    return shown + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")
