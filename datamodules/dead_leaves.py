"""Dead leaves: images with the statistics of photographs, drawn with integer arithmetic, identical on every machine.

The classical model of natural images (Matheron 1968; Lee, Mumford & Huang, IJCV 2001): disks of random size, place
and colour lie on one another until nothing is left uncovered. Radii have the density r^-3, so that the picture
looks alike at every scale. Here the disks are also shaded and textured, since a denoiser must preserve more than edges.
"""

import hashlib
from collections.abc import Callable
from math import isqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VERSION = 1  # of the drawing code; part of the fingerprint
FINE = 2  # supersampling factor: drawn this many times larger and averaged, which smooths the edges

Numbers = NDArray[np.int64]
Draws = Callable[[int, int, int], Numbers]


def draw_images(count: int, size: int, image_seed: int, part: str, channels: int) -> list[Tensor]:
    """Draw images; each depends only on its number, not on how many are drawn.

    Args:
        count: number of images.
        size: height and width, in pixels.
        image_seed: seed of the images.
        part: name of the stream, such as "train".
        channels: 3 for colour; 1 for grey, the luma of the same pictures.

    Returns:
        Images, each uint8 (channels, size, size).

    Raises:
        ValueError: `channels` is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"datamodule.channels={channels}: choose 3 for colour or 1 for grey")
    images = []
    for index in range(count):
        fine = _draw_image(size * FINE, _draws(f"{image_seed}/{part}/{index}"))
        shifted = [fine[:, row::FINE, column::FINE] for row in range(FINE) for column in range(FINE)]
        image = sum(shifted, start=np.array(FINE**2 // 2)) // FINE**2  # the mean, rounded
        if channels == 1:  # luma of ITU-R 601
            image = (299 * image[:1] + 587 * image[1:2] + 114 * image[2:] + 500) // 1000
        images.append(torch.from_numpy(image.astype(np.uint8)))
    return images


def _draws(key: str) -> Draws:
    """Return a function that draws integers, (count,), from low to high.

    They are computed here from raw bits, because NumPy guarantees that its raw bits stay the same in later versions,
    but not the numbers that it derives from them.
    """
    bits = np.random.PCG64(int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big"))

    def draws(count: int, low: int, high: int) -> Numbers:
        raw = bits.random_raw(count) >> np.uint64(32)
        return low + (raw * np.uint64(high - low + 1) >> np.uint64(32)).astype(np.int64)

    return draws


def _draw_image(side: int, draws: Draws) -> Numbers:
    """Draw one picture, (3, side, side), values from 0 to 255."""
    label, y, x, square = _leaves(side, draws)
    count = len(square)
    radius = np.sqrt(square).astype(np.int64)  # exact: IEEE 754 specifies the rounding of square roots

    # One direction per leaf: it gets lighter along it, and its stripes run across it.
    along, across = draws(count, -32, 32), draws(count, -32, 32)
    length = np.maximum(1, np.sqrt(along**2 + across**2).astype(np.int64))
    dy, dx = np.arange(side).reshape(-1, 1) - y[label], np.arange(side) - x[label]
    forward = dy * along[label] + dx * across[label]
    slope = _rare(draws, count, 60) * 65536 // (length * np.maximum(radius, 4))
    shade = forward * slope[label] // 65536

    texture = draws(count, 0, 4)[label]  # 0 and 1 are plain
    pitch = (length * draws(count, 3, 16))[label]
    stripes = forward // pitch
    chequers = stripes + (dx * along[label] - dy * across[label]) // pitch
    grain = draws((side + 1) ** 2, -128, 127).reshape(side + 1, -1)
    # Summing neighbours makes the grain coarser than a pixel.
    grain = (grain[1:, 1:] + grain[:-1, 1:] + grain[1:, :-1] + grain[:-1, :-1]) // 2
    pattern = np.select(
        [texture == 2, texture == 3, texture == 4], [stripes % 2 * 256 - 128, chequers % 2 * 256 - 128, grain], 0
    )
    contrast = _rare(draws, count, 110)

    # Most natural colours are dull: a brightness, with small shifts towards warm or cold and towards green.
    light = draws(1, 60, 170) + draws(count, -80, 80) + draws(count, -50, 50)
    warm = draws(1, -12, 20) + _rare(draws, count, 70)
    green = draws(1, -6, 10) + _rare(draws, count, 40)
    common = shade + pattern * contrast[label] // 256
    colours = light + np.stack([warm - green // 2, green, -warm - green // 2])
    pixels: Numbers = np.clip(colours[:, label] + common, 0, 255)
    return pixels


def _rare(draws: Draws, count: int, most: int) -> Numbers:
    """Draw integers from -most to most, small magnitudes far more often than large ones."""
    return draws(count, -most, most) * draws(count, 0, most) // most


def _leaves(side: int, draws: Draws) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Drop leaves until they cover the image.

    Returns:
        The index of the visible leaf at each pixel, (side, side); and row, column and squared radius of each leaf.
    """
    smallest = int(draws(1, 4, 12)[0])
    largest = max(side // 2, 2 * smallest)

    def fall(count: int) -> Numbers:
        """Draw `count` leaves and return those that touch the image, (3, at most count)."""
        # For a density of r^-3, 1 / r^2 is uniform; the factor 64 gives steps finer than integers.
        square = 64 * smallest**2 * largest**2 // draws(count, 64 * smallest**2, 64 * largest**2)
        # Leaves may be centred outside the image; otherwise its border would show smaller leaves than its middle.
        y, x = draws(count, -largest, side + largest), draws(count, -largest, side + largest)
        off_y, off_x = y - np.clip(y, 0, side - 1), x - np.clip(x, 0, side - 1)
        return np.stack([y, x, square])[:, off_y**2 + off_x**2 <= square]

    # This many cover nearly everything. Later leaves lie on top.
    leaves = fall(max(1, side**2 // smallest**2))
    label = np.full((side, side), -1)
    place = np.arange(side)
    for number, (y, x, square) in enumerate(leaves.T.tolist()):
        reach = isqrt(square)
        rows, columns = slice(max(0, y - reach), y + reach + 1), slice(max(0, x - reach), x + reach + 1)
        inside = (place[rows, None] - y) ** 2 + (place[columns] - x) ** 2 <= square
        label[rows, columns][inside] = number
    # Further leaves lie under these, each under those drawn before it: they show only where pixels are uncovered.
    rows_left, columns_left = np.nonzero(label < 0)
    while len(rows_left):
        more = fall(1024)
        inside = (rows_left[:, None] - more[0]) ** 2 + (columns_left[:, None] - more[1]) ** 2 <= more[2]
        hit = inside.any(axis=1)
        label[rows_left[hit], columns_left[hit]] = leaves.shape[1] + inside[hit].argmax(axis=1)
        rows_left, columns_left = rows_left[~hit], columns_left[~hit]
        leaves = np.concatenate([leaves, more], axis=1)
    return label, leaves[0], leaves[1], leaves[2]
