"""A folder of images."""

from pathlib import Path

import pytest

from tests.datamodules.files.stores import SIZES, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three colour images, one of them in a folder below."""
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for name, (height, width), seed in zip(("a.png", "b.png", "more/c.png"), SIZES, range(3), strict=True):
        write(tmp_path / "photos" / name, seed, height, width)
    return tmp_path / "photos"
