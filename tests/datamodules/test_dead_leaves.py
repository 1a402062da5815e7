import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from datamodules import dead_leaves
from datamodules.dead_leaves import draw_images

# What seed 0 gives on every machine, for VERSION 1: whoever has to change it raises VERSION, too.
CHECKSUM = "a9b647d77717534d6e340fa148ae169596da5a84071f22c0121a98681e6517a9"


@pytest.fixture(scope="module")
def grey():
    """Sixteen grey images, (16, 1, 64, 64)."""
    return torch.stack(draw_images(16, 64, 0, "train", 1))


def test_the_same_images_everywhere():
    images = [image for size in (24, 41) for image in draw_images(3, size, 0, "train", 3)]
    assert dead_leaves.VERSION == 1
    assert hashlib.sha256(b"".join(image.numpy().tobytes() for image in images)).hexdigest() == CHECKSUM


def test_an_image_does_not_depend_on_how_many_are_drawn():
    many, few = draw_images(5, 32, 3, "train", 3), draw_images(2, 32, 3, "train", 3)
    assert all(torch.equal(a, b) for a, b in zip(many, few, strict=False))
    assert draw_images(0, 32, 3, "train", 3) == []


def test_every_number_seed_and_part_is_another_image():
    images = [*draw_images(3, 32, 0, "train", 3), *draw_images(3, 32, 1, "train", 3), *draw_images(3, 32, 0, "test", 3)]
    assert len({image.numpy().tobytes() for image in images}) == 9


@pytest.mark.parametrize("size", [1, 5, 32])
def test_grey_images_are_the_luma_of_the_coloured_ones(size):
    (colour,), (grey,) = draw_images(1, size, 0, "train", 3), draw_images(1, size, 0, "train", 1)
    assert colour.shape == (3, size, size)
    assert grey.shape == (1, size, size)
    assert colour.dtype == grey.dtype == torch.uint8
    luma = (colour.double() * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(0, keepdim=True)
    assert (grey - luma).abs().max() < 0.51


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"datamodule\.channels=2: "):
        draw_images(1, 8, 0, "train", 2)


def test_numbers_are_drawn_evenly_with_both_ends():
    numbers = dead_leaves._draws("any")(50_000, -2, 2)
    assert np.abs(np.bincount(numbers + 2, minlength=5) / 10_000 - 1).max() < 0.05
    assert set(numbers) == {-2, -1, 0, 1, 2}


@pytest.mark.parametrize("key", ["one", "two", "three"])
def test_every_pixel_shows_a_leaf_that_lies_there(key):
    side = 128
    label, y, x, square = dead_leaves._leaves(side, dead_leaves._draws(key))
    assert label.min() >= 0
    rows, columns = np.indices((side, side))
    assert ((rows - y[label]) ** 2 + (columns - x[label]) ** 2 <= square[label]).all()
    assert len(np.unique(label)) > 10


def test_small_leaves_are_as_many_as_the_density_of_radii_says():
    """Of leaves that fall within the picture, with density r^-3, three of four are below twice the least radius."""
    below, all_of_them = 0, 0
    for key in range(20):
        _, y, x, square = dead_leaves._leaves(128, dead_leaves._draws(f"{key}"))
        within = (y >= 0) & (y < 128) & (x >= 0) & (x < 128)
        below += (square[within] < 4 * square.min()).sum()
        all_of_them += within.sum()
    assert below / all_of_them == pytest.approx(0.75, abs=0.03)


def test_tones_are_spread_and_images_differ_in_light(grey):
    tones = grey.flatten().bincount(minlength=256) / grey.numel()
    assert tones.max() < 0.03
    assert (tones > 0).sum() > 240
    assert 80 < grey.double().mean() < 150
    assert grey.double().flatten(1).std(1).min() > 25
    assert grey.double().flatten(1).mean(1).std() > 15


def test_differences_of_neighbours_have_the_heavy_tails_of_photographs(grey):
    """A normal distribution has kurtosis 3."""
    difference = (grey.double()[..., 1:] - grey.double()[..., :-1]).flatten()
    deviation = difference - difference.mean()
    assert deviation.pow(4).mean() / deviation.pow(2).mean() ** 2 > 6


def test_differences_of_neighbours_are_as_large_at_every_scale(grey):
    """Averaging pairs of pixels quarters those of white noise; a photograph looks the same from further away."""
    images = grey.double()
    sizes = []
    for _ in range(3):
        sizes.append((images[..., 1:] - images[..., :-1]).pow(2).mean())
        images = F.avg_pool2d(images, 2)
    assert max(sizes) < 3 * min(sizes)


def test_colours_are_mostly_dull():
    pixels = torch.stack(draw_images(16, 64, 0, "train", 3)).double().transpose(0, 1).flatten(1)
    correlation = torch.corrcoef(pixels)
    assert correlation.min() > 0.6
    assert correlation[~torch.eye(3, dtype=torch.bool)].max() < 0.97
