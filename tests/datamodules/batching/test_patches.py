"""Patches are parts of the images, at the drawn places, in the drawn symmetries; and what is drawn is fair."""

import gc
import tracemalloc
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.batching.packed_images import PackedImages
from datamodules.batching.patches import (
    EvaluationImages,
    PatchIndices,
    PatchSampler,
    RandomPatches,
    apply_symmetry,
    pad_by_reflection,
)

SYMMETRIES = torch.arange(8)


def random_images(*sizes: tuple[int, int], channels: int = 3) -> PackedImages:
    generator = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (channels, *size), dtype=torch.uint8, generator=generator) for size in sizes]
    return PackedImages.from_tensors(images, [f"{position}.png" for position in range(len(sizes))])


def batches(
    images: int = 5, patches: int = 100, batch_size: int = 8, epoch: int = 0, **options: Any
) -> list[PatchIndices]:
    sampler = PatchSampler(images, patches, batch_size, **{"seed": 0, **options})
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


def joined(batches: list[PatchIndices]) -> PatchIndices:
    return PatchIndices(*(torch.cat(field) for field in zip(*batches, strict=True)))


def same(one: PatchIndices, two: PatchIndices) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def at(index: int, top: float, left: float) -> PatchIndices:
    return PatchIndices(torch.tensor([index]), torch.tensor([[top, left]], dtype=torch.float64), torch.tensor([0]))


# Pixels


@pytest.mark.parametrize("channels", [3, 1])
def test_patches_are_cut_at_the_drawn_places(channels: int) -> None:
    images = random_images((12, 9), (7, 20), (5, 5), channels=channels)
    batch = joined(batches(3, 200))
    patches, symmetry = RandomPatches(images, 5)[batch]
    assert patches.dtype == torch.uint8
    assert patches.shape == (len(batch.indices), channels, 5, 5)
    assert torch.equal(symmetry, batch.symmetry)  # made later, on the device
    for patch, index, (down, right) in zip(patches, batch.indices.tolist(), batch.offset.tolist(), strict=True):
        image = images[index]
        top, left = int(down * (image.shape[1] - 4)), int(right * (image.shape[2] - 4))
        assert torch.equal(patch, image[:, top : top + 5, left : left + 5])


def test_every_place_is_as_likely_up_to_the_last_row_and_column() -> None:
    """Count the corners, recovered from an image whose pixels say where they are: 12 outcomes."""
    rows, columns = torch.meshgrid(torch.arange(6), torch.arange(7), indexing="ij")
    images = PackedImages.from_tensors([(rows * 7 + columns).to(torch.uint8).unsqueeze(0)], ["one"])
    patches, _ = RandomPatches(images, 4)[joined(batches(1, 12000, 12000))]
    corner = patches[:, 0, 0, 0].long()
    counts = torch.stack([corner // 7, corner % 7], 1).unique(dim=0, return_counts=True)
    assert counts[0].tolist() == [list(place) for place in product(range(3), range(4))]
    assert (counts[1] - 1000).abs().max() < 150  # five standard deviations
    assert patches.max() == 6 * 7 - 1


def test_greatest_place_that_can_be_drawn_is_inside() -> None:
    images, last = random_images((2040, 1357)), 1 - 2**-53
    (patch,), _ = RandomPatches(images, 40)[at(0, last, last)]
    assert torch.equal(patch, images[0][:, -40:, -40:])


@pytest.mark.parametrize("size", [(3, 3), (2, 9), (9, 2), (1, 1), (1, 30), (8, 7), (3, 40)])
def test_image_smaller_than_the_patch_is_padded_by_reflection(size: tuple[int, int]) -> None:
    images = random_images((20, 20), size)
    image = images[1].numpy()
    for place in (0.0, 0.999):
        (patch,), _ = RandomPatches(images, 8)[at(1, place, place)]
        top, left = (int(place * max(1, length - 7)) for length in size)
        height, width = (min(8, length) for length in size)
        part = patch[:, :height, :width]
        assert np.array_equal(part, image[:, top : top + height, left : left + width])
        for down, right in product(range(8), range(8)):
            assert torch.equal(patch[:, down, right], part[:, reflected(down, height), reflected(right, width)])


def reflected(place: int, length: int) -> int:
    """Return where a ray from 0 that is thrown back at both ends, without doubling them, is after some steps."""
    period = max(1, 2 * (length - 1))
    return min(place % period, (period - place % period) % period if length > 1 else 0)


def test_large_enough_images_are_not_padded() -> None:
    image = random_images((8, 9))[0]
    assert pad_by_reflection(image, 8) is image


# Symmetries


def test_each_symmetry_is_what_its_number_says() -> None:
    patches = random_images((6, 6))[0].repeat(8, 1, 1, 1)
    for number, result, source in zip(SYMMETRIES.tolist(), apply_symmetry(patches, SYMMETRIES), patches, strict=True):
        expected = source.numpy()
        expected = expected[:, :, ::-1] if number & 1 else expected
        expected = expected[:, ::-1] if number & 2 else expected
        expected = expected.swapaxes(1, 2) if number & 4 else expected
        assert np.array_equal(result, expected), number


def test_they_are_the_eight_of_a_square() -> None:
    """Four rotations, and these mirrored: all different."""
    square = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2)
    made = {tuple(patch.flatten().tolist()) for patch in apply_symmetry(square.expand(8, -1, -1, -1), SYMMETRIES)}
    turned = [square.rot90(turn, (-2, -1)) for turn in range(4)]
    assert made == {tuple(x.flatten().tolist()) for one in turned for x in (one, one.flip(-1))}
    assert len(made) == 8


def test_a_batch_of_patches_is_not_changed_in_place() -> None:
    patches = random_images((6, 6))[0].repeat(8, 1, 1, 1)
    before = patches.clone()
    apply_symmetry(patches, SYMMETRIES)
    assert torch.equal(patches, before)


# Draws


def test_images_and_symmetries_are_as_likely_as_each_other() -> None:
    """Of 16 images, so that the same random numbers for both would show."""
    batch = joined(batches(16, 128000, 128000))
    counts = (batch.indices * 8 + batch.symmetry).bincount()
    assert len(counts) == 128
    assert (counts - 1000).abs().max() < 160  # five standard deviations
    assert batch.offset.min() >= 0
    assert batch.offset.max() < 1


@pytest.mark.parametrize(("patches", "batch_size", "steps"), [(100, 8, 12), (96, 8, 12), (5, 8, 1), (8, 8, 1)])
def test_an_epoch_has_so_many_patches_in_whole_batches(patches: int, batch_size: int, steps: int) -> None:
    sizes = [len(batch.indices) for batch in batches(patches=patches, batch_size=batch_size)]
    assert sizes == [min(patches, batch_size)] * steps


def test_seed_and_epoch_decide_the_draws() -> None:
    first = joined(batches(seed=3, epoch=2))
    assert same(first, joined(batches(seed=3, epoch=2)))
    for other in (joined(batches(seed=4, epoch=2)), joined(batches(seed=3, epoch=1))):
        assert not any(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_batch_size_does_not_change_the_sequence() -> None:
    assert same(joined(batches(patches=96, batch_size=8)), joined(batches(patches=96, batch_size=32)))


@pytest.mark.parametrize(("world_size", "batch_size"), [(2, 8), (4, 8), (3, 8)])
def test_shares_of_the_processes_make_up_the_batch(world_size: int, batch_size: int) -> None:
    shares = [batches(batch_size=batch_size, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(batches(batch_size=batch_size), *shares, strict=True):
        for field, pieces in zip(whole, zip(*parts, strict=True), strict=True):
            dealt = torch.empty_like(field)
            for rank, piece in enumerate(pieces):
                dealt[rank::world_size] = piece
            assert torch.equal(dealt, field)


# Whole images


def test_frames_are_the_images_of_each_set_in_order() -> None:
    sets = {"one": random_images((4, 5), (6, 3)), "two": random_images((7, 7))}
    frames = EvaluationImages(sets)
    assert [(frame.set_name, frame.position, frame.name) for frame in (frames[i] for i in range(len(frames)))] == [
        ("one", 0, "0.png"),
        ("one", 1, "1.png"),
        ("two", 0, "0.png"),
    ]
    assert torch.equal(frames[1].clean, sets["one"][1].unsqueeze(0))
    assert frames[1].clean.shape == (1, 3, 6, 3)


# Memory


def test_epochs_leave_no_objects_and_no_memory_behind() -> None:
    images = random_images(*[(40, 30)] * 50)
    sampler = PatchSampler(50, 2000, 50, seed=0)
    loader = DataLoader(RandomPatches(images, 8), sampler=sampler, batch_size=None)
    seen: list[tuple[int, int]] = []

    def run(epoch: int) -> None:
        sampler.set_epoch(epoch)
        assert sum(len(batch.clean) for batch in loader) == 2000
        gc.collect()
        seen.append((len(gc.get_objects()), tracemalloc.get_traced_memory()[0]))

    tracemalloc.start()
    try:
        for epoch in range(5):
            run(epoch)
    finally:
        tracemalloc.stop()
    (objects, memory), (objects_later, memory_later) = seen[1], seen[-1]
    assert objects_later - objects < 10  # three epochs of 40 batches of 50 patches
    assert memory_later - memory < 10_000  # PyTorch itself keeps some bytes a batch while it is traced
