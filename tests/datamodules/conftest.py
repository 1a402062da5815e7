"""Small data: a CIFAR-100 in the official layout, which torchvision is told to take for the real one; class folders."""

import pickle
from hashlib import md5
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from torchvision.datasets import CIFAR100 as Pickles

from tests.datamodules.small_data import draw_image

CLASSES = 5


class MiniCIFAR(NamedTuple):
    data_dir: Path
    pixels: dict[str, NDArray[np.uint8]]  # (N, 3, 32, 32) of train and test
    labels: dict[str, list[int]]
    names: list[str]

    @property
    def folder(self) -> Path:
        return self.data_dir / Pickles.base_folder


@pytest.fixture
def mini_cifar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MiniCIFAR:
    random = np.random.default_rng(0)
    folder = tmp_path / "data" / Pickles.base_folder
    folder.mkdir(parents=True)
    pixels, labels, digests = {}, {}, {}

    def write(name: str, content: dict[str, Any]) -> None:
        # Python 2 wrote the official files: their text is read as bytes.
        as_bytes = {key.encode(): value for key, value in content.items()}
        (folder / name).write_bytes(pickle.dumps(as_bytes, protocol=2))
        digests[name] = md5((folder / name).read_bytes()).hexdigest()

    for part, a_class in (("train", 20), ("test", 4)):
        images = CLASSES * a_class
        rows = random.integers(0, 256, (images, 3072), dtype=np.uint8)
        fine = random.permutation(np.arange(images) % CLASSES).tolist()
        names = [f"image_{index}.png".encode() for index in range(images)]
        coarse = [label // 2 for label in fine]
        write(part, {"data": rows, "fine_labels": fine, "coarse_labels": coarse, "filenames": names})
        pixels[part], labels[part] = rows.reshape(-1, 3, 32, 32), fine
    class_names = [f"class {index}" for index in range(CLASSES)]
    coarse_names = [b"low", b"middle", b"high"]
    write("meta", {"fine_label_names": [name.encode() for name in class_names], "coarse_label_names": coarse_names})

    monkeypatch.setattr(Pickles, "train_list", [["train", digests["train"]]])
    monkeypatch.setattr(Pickles, "test_list", [["test", digests["test"]]])
    monkeypatch.setattr(Pickles, "meta", {**Pickles.meta, "md5": digests["meta"]})
    return MiniCIFAR(folder.parent, pixels, labels, class_names)


@pytest.fixture
def class_tree(tmp_path: Path) -> Path:
    """Two classes, ten training and two test images of each, 8x8."""
    seeds = count(100)
    for split, images in (("train", 10), ("test", 2)):
        for name in ("cat", "ant"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(images):
                draw_image(next(seeds)).save(tmp_path / split / name / f"{index}.png")
    return tmp_path
