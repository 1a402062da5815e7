"""Your own images to train and test denoisers on, in folders."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datamodules.batching.packed_images import PackedImages
from datamodules.denoising import DenoisingDataModule
from datamodules.files.checksums import content_digest
from datamodules.files.image_store import open_store
from datamodules.files.listing import list_images
from datamodules.files.names import printable


class ImageFolder(DenoisingDataModule):
    """Images of any size, in folders and their subfolders, decoded once into a store.

    `datamodules.files.listing` defines which files are images, `datamodules.files.decode.open_image` how each format is
    converted; docs/images.md describes both.

    Args:
        train_dir: folder of the training images.
        val_dir: the same for validation; None to hold out `val_size` of the training images.
        test_dirs: folders of test images; each is a test set with the name of its folder.
        store_dir: folder of the stores.
        **options: as in `DenoisingDataModule`.

    Raises:
        ValueError: an option has an invalid value.
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
        # The name of a symbolic link, not of its target: the same set may lie on another disk.
        self.test_dirs = {printable(Path(os.path.abspath(folder)).name): Path(folder) for folder in test_dirs}
        if len(self.test_dirs) < len(test_dirs):
            raise ValueError(
                f"datamodule.test_dirs={list(test_dirs)}: a set is named by its folder, and two have the same name; "
                "rename one"
            )
        self.store_dir = Path(store_dir)

    def fingerprint(self) -> dict[str, Any]:
        """Return a digest of the names and contents of each folder's images.

        Raises:
            ValueError: a folder is missing or empty, or has a broken link.
            OSError: a file cannot be read.
        """
        digests = {"train": self._digest(self.train_dir, "datamodule.train_dir")}
        if self.val_dir is not None:
            digests["val"] = self._digest(self.val_dir, "datamodule.val_dir")
        tests = {name: self._digest(folder, "datamodule.test_dirs") for name, folder in self.test_dirs.items()}
        return {"dataset": self.dataset, **digests, "test": tests}

    def read_train(self) -> tuple[PackedImages, PackedImages | None]:
        """Open the image stores, building those that are missing."""
        train = self._open(self.train_dir, "datamodule.train_dir")
        return train, None if self.val_dir is None else self._open(self.val_dir, "datamodule.val_dir")

    def read_test(self) -> dict[str, PackedImages]:
        """Open the image stores, building those that are missing."""
        return {name: self._open(folder, "datamodule.test_dirs") for name, folder in self.test_dirs.items()}

    def files(self, folder: Path, option: str) -> list[Path]:
        """List the images of a folder; `option` is the key that set it, for error messages.

        Raises:
            ValueError: there are none.
        """
        return list_images(folder, option)

    def _open(self, folder: Path, option: str) -> PackedImages:
        return open_store(self.files(folder, option), folder, self.store_dir, self.channels)

    def _digest(self, folder: Path, option: str) -> str:
        return content_digest(self.files(folder, option), folder, self.store_dir)
