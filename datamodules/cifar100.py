"""CIFAR-100 (Krizhevsky 2009) from the official pickles."""

import pickle
import shlex
from pathlib import Path
from typing import Any

import torch
from torchvision.datasets import CIFAR100 as Pickles
from torchvision.datasets.utils import check_md5

from datamodules.classification import ClassificationDataModule, LabelledImageSet, Splits


class CIFAR100(ClassificationDataModule):
    """60,000 colour images of 32x32 in 100 classes: 50,000 for training, 10,000 for testing.

    Args:
        data_dir: the folder that holds `cifar-100-python/`.
        **options: as in `ClassificationDataModule`.
    """

    def __init__(self, data_dir: str, **options: Any) -> None:
        super().__init__(**options)
        self.data_dir = Path(data_dir)

    def fingerprint(self) -> dict[str, Any]:
        """Return the official md5 of the files, which `read` verifies."""
        return {"dataset": "cifar100", **dict(Pickles.train_list + Pickles.test_list)}

    def read(self) -> Splits:
        """Verify the files and read them."""
        verify(self.data_dir)
        folder = self.data_dir / Pickles.base_folder
        train, test, meta = (_unpickle(folder / name) for name in ("train", "test", "meta"))
        classes = [name.decode() for name in meta["fine_label_names"]]
        return Splits(_labelled(train), None, _labelled(test), classes)


def verify(data_dir: Path) -> None:
    """Check that the official files exist and are intact.

    Raises:
        ValueError: they do not; the message says what was found instead, where, and what to run.
        OSError: a file cannot be read.
    """
    folder = data_dir / Pickles.base_folder
    if not folder.is_dir():
        where = data_dir if data_dir.is_file() else folder
        found = "is a file" if where.exists() else "does not exist"
        raise ValueError(f"CIFAR-100 should be the folder {folder}, but {where} {found}; {_fix(data_dir)}")
    expected = [*Pickles.train_list, *Pickles.test_list, [Pickles.meta["filename"], Pickles.meta["md5"]]]
    for name, md5 in expected:
        path = folder / name
        if not path.is_file():
            raise ValueError(f"CIFAR-100 in {folder} has no file {name!r}; {_fix(data_dir)}")
        if not check_md5(path, md5):
            raise ValueError(
                f"{path} ({path.stat().st_size:,} bytes) is not the official CIFAR-100 file: "
                f"its md5 is not {md5}; {_fix(data_dir)}"
            )


def _fix(data_dir: Path) -> str:
    return (
        f"run: python scripts/prepare_data.py cifar100 --data-dir {shlex.quote(str(data_dir))}, "
        f"or point paths.data_dir at the folder that holds {Pickles.base_folder}/"
    )


def _unpickle(path: Path) -> dict[str, Any]:
    """Read one of the verified files; strings of Python 2 are returned as bytes.

    torchvision decodes them as text, which makes three more copies of the pixels.
    """
    with path.open("rb") as file:
        return {key.decode(): value for key, value in pickle.load(file, encoding="bytes").items()}


def _labelled(content: dict[str, Any]) -> LabelledImageSet:
    images = torch.from_numpy(content["data"]).view(-1, 3, 32, 32)
    return LabelledImageSet(images, torch.tensor(content["fine_labels"]))
