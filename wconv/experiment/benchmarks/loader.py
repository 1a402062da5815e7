"""Benchmark data loading against a torchvision-style data set with transforms and a DataLoader."""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from wconv.experiment.benchmarks.pairs import Quartiles, Work, ratio, seconds_in_turn
from wconv.experiment.benchmarks.prepared_run import (
    PreparedRun,
    add_data_argument,
    images_of_classes,
    prepared_run,
)
from wconv.experiment.benchmarks.tables import Row
from wconv.experiment.common.argument_types import positive

BATCH, PATCH = 128, 48
BATCHES = 12  # timed in a row
DRAWN = 6000  # images of 32x32
PHOTOS, HEIGHT, WIDTH = 8, 1356, 2040  # as large as those of DIV2K
MEAN, STD = [0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]
SIGMA = 25.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--pairs", type=positive, default=10, help="rounds of the timings (%(default)s)")
    add_data_argument(parser)


def measure(arguments: argparse.Namespace) -> list[Row]:
    """Measure batches of CIFAR-100 and of noisy patches, each against a DataLoader with no and with two workers.

    Returns:
        One row for each of the four.
    """
    return [*classes(arguments.data, arguments.pairs), *patches(arguments.pairs)]


def classes(data: str | None, pairs: int) -> list[Row]:
    """Compare batches of small images: cropped, mirrored, normalised."""
    choice, name = images_of_classes(data, DRAWN)
    usual = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    with prepared_run(["model=vgg", *choice]) as run:
        ours = _endless(run.data.train_dataloader)
        there = Pictures(run.data.train.images, run.data.train.labels, usual)
        return compare(f"{BATCH} of {name}: crop, flip, normalise", ours, there, BATCH, pairs)


def patches(pairs: int) -> list[Row]:
    """Compare batches of patches of large photographs: cut, flipped and rotated, with noise."""
    with tempfile.TemporaryDirectory() as folder:
        files = draw_photos(Path(folder) / "photos")
        test = draw_photos(Path(folder) / "test", 1)[0].parent
        words = [
            "model=dncnn",
            "datamodule=image_folder",
            f"datamodule.train_dir={files[0].parent}",
            f"datamodule.test_dirs=[{test}]",
            f"datamodule.store_dir={folder}/stores",
            "datamodule.channels=3",
            f"datamodule.patch_size={PATCH}",
            f"datamodule.batch_size={BATCH}",
            f"task.sigma={SIGMA}",
        ]
        with prepared_run(words) as run:
            ours = _endless(lambda: noisy_patches(run))
            name = f"{BATCH} patches of {PATCH}x{PATCH} of drawn {WIDTH}x{HEIGHT} PNG files: cut, augment, add noise"
            return compare(name, ours, DecodedPatches(files), 8, pairs)  # 128 decoded files take ten seconds


def compare(name: str, ours: Iterator[Any], dataset: Dataset[Any], usual_batch: int, pairs: int) -> list[Row]:
    """Time batches alternately with those of a DataLoader, and compare images per second.

    Args:
        name: description of a batch.
        ours: batches of `BATCH`.
        dataset: of single images.
        usual_batch: images per batch of the DataLoader.
        pairs: rounds.
    """
    rows = []
    for workers in (0, 2):
        usual = _endless(partial(DataLoader, dataset, usual_batch, shuffle=True, num_workers=workers, drop_last=True))
        # So many in a row that the batches which workers prefetched while the other side was timed hardly matter.
        works: dict[str, Work] = {"ours": partial(_draw, ours), "usual": partial(_draw, usual)}
        seconds = seconds_in_turn(works, pairs)
        rates = {
            "ours": [BATCHES * BATCH / passed for passed in seconds["ours"]],
            "usual": [BATCHES * usual_batch / passed for passed in seconds["usual"]],
        }
        rows.append(
            {
                "a batch": name,
                "workers of the DataLoader": workers,
                "times as fast": ratio(rates["ours"], rates["usual"]),
                "images/s": Quartiles.of(rates["ours"]).median,
                "images/s of the DataLoader": Quartiles.of(rates["usual"]).median,
                "pairs": pairs,
            }
        )
    return rows


def _draw(batches: Iterator[Any]) -> None:
    for _ in range(BATCHES):
        next(batches)


def noisy_patches(run: PreparedRun) -> Iterator[Tensor]:
    """Yield batches as the denoising task gets them, with the noise that it adds."""
    for position, batch in enumerate(run.data.train_dataloader()):
        clean = run.data.on_after_batch_transfer(batch, 0).clean
        yield run.task.noise.add_training_noise(clean, 0, 0, position)  # type: ignore[operator, union-attr]


def draw_photos(folder: Path, count: int = PHOTOS) -> list[Path]:
    """Write PNG files as large as photographs: smooth shades with some grain, so that they compress similarly."""
    folder.mkdir()
    random = np.random.default_rng(0)
    files = []
    for number in range(count):
        coarse = Image.fromarray(random.integers(0, 256, (24, 36, 3), dtype=np.uint8))
        shades = np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
        grain = random.integers(-6, 7, shades.shape)
        files.append(folder / f"{number}.png")
        Image.fromarray(np.clip(shades + grain, 0, 255).astype(np.uint8)).save(files[-1])
    return files


class Pictures(Dataset[Any]):
    """Images as in torchvision's CIFAR100: arrays (H, W, C) in memory, converted to a PIL image at each access.

    Args:
        images: uint8, (N, C, H, W).
        labels: (N,).
        transform: applied to each image.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Image.Image], Tensor]) -> None:
        self.data = images.permute(0, 2, 3, 1).numpy()
        self.targets = labels.tolist()
        self.transform = transform

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image and its class."""
        return self.transform(Image.fromarray(self.data[index])), self.targets[index]


class DecodedPatches(Dataset[Any]):
    """One patch per access: decode a file, crop, flip and rotate, add noise.

    Args:
        files: image files, repeated often enough for long epochs.
    """

    def __init__(self, files: list[Path]) -> None:
        self.files = files * (1000 * BATCH // len(files))

    def __len__(self) -> int:
        """Return the number of patches."""
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        """Return a noisy patch (3, P, P)."""
        with Image.open(self.files[index]) as image:
            patch = transforms.functional.to_tensor(transforms.RandomCrop(PATCH)(image.convert("RGB")))
        turns, mirrored = torch.randint(4, ()).item(), torch.rand(()) < 0.5
        patch = patch.rot90(int(turns), (1, 2))
        patch = patch.flip(2) if mirrored else patch
        noisy: Tensor = patch + torch.randn(patch.shape) * (SIGMA / 255)
        return noisy


def _endless(loader: Callable[[], Any]) -> Iterator[Any]:
    while True:
        yield from loader()
