"""Anybody's images to denoise: folders of PNG, JPEG or TIFF files."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.batching.packed_images import PackedImages
from datamodules.denoising import DenoisingDataModule
from datamodules.files.image_store import open_store

EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


class ImageFolder(DenoisingDataModule):
    """Images of any sizes, in folders and the folders below them, decoded once into a store.

    What happens to each kind of image is said in `datamodules.files.decode.open_image`; files of other types, and those
    whose names start with a dot, are passed over.

    Args:
        train_dir: folder of the training images.
        val_dir: the same for validation; None to hold out `val_size` of the training images.
        test_dirs: folders of test images; each is a set of its own, named as its folder.
        store_dir: folder of the stores.
        **options: as in `DenoisingDataModule`.

    Raises:
        ValueError: an option has a value that makes no sense.
    """

    dataset = "image_folder"

    def __init__(
        self, train_dir: str, val_dir: str | None, test_dirs: Sequence[str], store_dir: str, **options: Any
    ) -> None:
        super().__init__(**options)
        if isinstance(test_dirs, str) or not test_dirs:
            raise ValueError(f"datamodule.test_dirs={test_dirs}: write a list, datamodule.test_dirs=[FOLDER,FOLDER]")
        self.train_dir = Path(train_dir)
        self.val_dir = None if val_dir is None else Path(val_dir)
        # The name of a link, not of where it leads: data on another disk is still the same set.
        self.test_dirs = {Path(os.path.abspath(folder)).name: Path(folder) for folder in test_dirs}
        if len(self.test_dirs) < len(test_dirs):
            raise ValueError(
                f"datamodule.test_dirs={list(test_dirs)}: a set is named by its folder, and two have the same name; "
                "rename one"
            )
        self.store_dir = Path(store_dir)

    def fingerprint(self) -> dict[str, Any]:
        """Return a digest of each folder's names and sizes of images.

        Raises:
            ValueError: a folder is missing or empty.
            OSError: a folder cannot be listed.
        """
        digests = {"train": _digest(self.train_dir, self.files(self.train_dir, "datamodule.train_dir"))}
        if self.val_dir is not None:
            digests["val"] = _digest(self.val_dir, self.files(self.val_dir, "datamodule.val_dir"))
        tests = {
            name: _digest(folder, self.files(folder, "datamodule.test_dirs")) for name, folder in self.test_dirs.items()
        }
        return {"dataset": self.dataset, **digests, "test": tests}

    def read_train(self) -> tuple[PackedImages, PackedImages | None]:
        """Open the stores, and build those that are missing."""
        train = self._open(self.train_dir, "datamodule.train_dir")
        return train, None if self.val_dir is None else self._open(self.val_dir, "datamodule.val_dir")

    def read_test(self) -> dict[str, PackedImages]:
        """Open the stores, and build those that are missing."""
        return {name: self._open(folder, "datamodule.test_dirs") for name, folder in self.test_dirs.items()}

    def files(self, folder: Path, option: str) -> list[Path]:
        """List the images of a folder; `option` is what named it.

        Raises:
            ValueError: there are none.
        """
        return list_images(folder, option)

    def _open(self, folder: Path, option: str) -> PackedImages:
        return open_store(self.files(folder, option), folder, self.store_dir, self.channels)


def list_images(folder: Path, option: str) -> list[Path]:
    """List the images in and below a folder, sorted by their path.

    Args:
        folder: where to look.
        option: what named the folder, for the message.

    Raises:
        ValueError: it is no folder, or there is no image.
    """
    if not folder.is_dir():
        found = "is a file" if folder.exists() else "does not exist"
        raise ValueError(f"the folder {folder} {found}; point {option} at a folder of images")
    found = [
        path
        for path in folder.rglob("*")
        # A link that leads nowhere is listed, and fails to open: it must not be left out in silence.
        if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and not path.is_dir()
    ]
    if not found:
        raise ValueError(
            f"the folder {folder} holds no image ({' '.join(EXTENSIONS)}); fill it, or point {option} at another"
        )
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def _digest(folder: Path, files: list[Path]) -> str:
    listing = [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()
