"""Class folders that tests read: a small tree of drawn images, and the datamodule for it."""

from pathlib import Path
from typing import Any

from datamodules.class_folder import ClassFolder


def make(tree: Path, **options: Any) -> ClassFolder:
    """Return the datamodule of a tree with the folders train and test."""
    folders = {"train_dir": str(tree / "train"), "val_dir": None, "test_dirs": [str(tree / "test")]}
    return ClassFolder(**{**folders, "image_size": 8, "channels": 3, "batch_size": 4, "seed": 0, **options})


def load(tree: Path, **options: Any) -> ClassFolder:
    """Return it with its images."""
    data = make(tree, **options)
    data.load()
    return data
