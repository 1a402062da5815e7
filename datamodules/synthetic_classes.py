"""Twenty classes of textured shapes, drawn with integer arithmetic: identical on every machine.

A class is a shape (disk, square, diamond, ring, cross) with a texture (stripes across, stripes down, diagonal stripes,
chequers). Place, size, colours, stripe width and noise are random and independent of the class, so that no single pixel
or colour reveals it: a network must look at the neighbourhood of a pixel.
"""

import hashlib
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from datamodules.classification import ClassificationDataModule, LabelledImageSet, Splits

SIZE = 32
SHAPES = ("disk", "square", "diamond", "ring", "cross")
TEXTURES = ("across", "down", "diagonal", "chequered")
CLASSES = [f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES]
NOISE = 24  # largest change of a pixel value, of 255
VERSION = 1  # of the drawing code; part of the fingerprint

Numbers = NDArray[np.uint64]


class SyntheticClasses(ClassificationDataModule):
    """Images that are drawn on demand.

    Args:
        train_images: number of training images, from which validation images are held out.
        test_images: number of test images.
        image_seed: seed of the images.
        **options: as in `ClassificationDataModule`.
    """

    def __init__(self, train_images: int, test_images: int, image_seed: int, **options: Any) -> None:
        super().__init__(**options)
        self.train_images = train_images
        self.test_images = test_images
        self.image_seed = image_seed

    def fingerprint(self) -> dict[str, Any]:
        """Return the version of the drawing code; the configuration holds the rest."""
        return {"dataset": "synthetic_classes", "version": VERSION}

    def read(self) -> Splits:
        """Draw all images."""
        train = draw_images(self.train_images, self.image_seed, "train")
        return Splits(train, None, draw_images(self.test_images, self.image_seed, "test"), CLASSES)


def draw_images(count: int, image_seed: int, part: str) -> LabelledImageSet:
    """Draw images, cycling through the classes.

    Args:
        count: number of images.
        image_seed: seed of the images.
        part: name of the stream, such as "train".

    Returns:
        Images, uint8 (count, 3, 32, 32), and their classes (count,).
    """
    key = hashlib.sha256(f"{image_seed}/{part}".encode()).digest()
    start = np.frombuffer(key[:8], dtype="<u8")[0]
    index = np.arange(count, dtype=np.uint64)
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)

    def number(name: int, low: int, high: int) -> NDArray[np.int64]:
        """Draw an integer from low to high for each image, shaped to broadcast, (N, 1, 1)."""
        raw = _hash(start ^ _hash(index * np.uint64(64) + np.uint64(name)))
        return (low + (raw >> np.uint64(32)).astype(np.int64) % (high - low + 1)).reshape(-1, 1, 1)

    rows, columns = np.arange(SIZE).reshape(1, -1, 1), np.arange(SIZE).reshape(1, 1, -1)
    dy, dx = rows - number(0, 12, 19), columns - number(1, 12, 19)
    inside = _shape(labels.reshape(-1, 1, 1) // len(TEXTURES), dy, dx, number(2, 9, 12))
    half = number(3, 2, 3)  # width of a stripe
    across, down = (rows + number(4, 0, 5)) // half, (columns + number(5, 0, 5)) // half
    diagonal = (rows + columns + number(6, 0, 5)) // half
    texture = labels.reshape(-1, 1, 1) % len(TEXTURES)
    light = np.select([texture == 0, texture == 1, texture == 2], [across, down, diagonal], across + down) % 2 == 1

    channels = []
    for channel in range(3):
        ground = number(8 + channel, 0, 255)
        dark = number(12 + channel, 0, 255)
        bright = (dark + number(16 + channel, 80, 176)) % 256  # at least 80 away from dark, modulo 256
        channels.append(np.where(inside, np.where(light, bright, dark), ground))
    images = np.stack(channels, axis=1)
    pixel = np.arange(images.size, dtype=np.uint64).reshape(images.shape)
    noise = (_hash(~start ^ _hash(pixel)) >> np.uint64(32)).astype(np.int64) % (2 * NOISE + 1) - NOISE
    return LabelledImageSet(
        torch.from_numpy(np.clip(images + noise, 0, 255).astype(np.uint8)), torch.from_numpy(labels)
    )


def _shape(shape: NDArray[np.int64], dy: NDArray[Any], dx: NDArray[Any], radius: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask of the pixels inside the shape; all shapes have similar areas."""
    square_distance = dy**2 + dx**2
    far, near = np.maximum(abs(dy), abs(dx)), np.minimum(abs(dy), abs(dx))
    return np.select(
        [shape == 0, shape == 1, shape == 2, shape == 3],
        [
            square_distance <= radius**2,
            far * 8 <= radius * 7,
            abs(dy) + abs(dx) <= radius * 5 // 4,
            (square_distance <= (radius + 1) ** 2) & (square_distance * 4 >= radius**2),
        ],
        (near * 3 <= radius) & (far <= radius + 1),
    )


def _hash(numbers: Numbers) -> Numbers:
    """Scramble 64-bit numbers (the finaliser of SplitMix64, Steele et al. 2014); overflow wraps, as it should."""
    with np.errstate(over="ignore"):
        z = numbers + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))
