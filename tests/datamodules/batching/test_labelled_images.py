import hashlib
from itertools import product

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from datamodules.batching.labelled_images import BatchIndices, EvaluationSampler, LabelledImages, TrainingSampler, crop

MEAN, STD = [0.5071, 0.4865, 0.4409], [0.2673, 0.2564, 0.2762]


def random_images(count: int, channels: int = 3, size: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, channels, size, size), dtype=torch.uint8, generator=generator)


def training(count: int = 50, batch_size: int = 8, seed: int = 0, epoch: int = 0, **options: int) -> list[BatchIndices]:
    sampler = TrainingSampler(count, batch_size, seed, **{"crop_padding": 4, "flip": True, **options})
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert len(batches) == len(sampler)
    return batches


def joined(batches: list[BatchIndices]) -> BatchIndices:
    return BatchIndices(*(torch.cat(field) for field in zip(*batches, strict=True)))


def same(one: list[BatchIndices], two: list[BatchIndices]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(joined(one), joined(two), strict=True))


# Pixels


def test_normalised_pixels_are_torchvisions() -> None:
    images, labels = random_images(20), torch.arange(20)
    indices = torch.tensor([3, 19, 0, 3])
    pixels, classes = LabelledImages(images, labels, MEAN, STD)[BatchIndices(indices)]
    pipeline = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)])
    torch.testing.assert_close(pixels, pipeline(images[indices]), rtol=0, atol=1e-6)
    assert pixels.dtype == torch.float32
    assert classes.tolist() == [3, 19, 0, 3]


def test_every_crop_is_torchvisions() -> None:
    shifts = torch.tensor(list(product(range(9), range(9))))
    images = random_images(81)
    padded = v2.functional.pad(images, [4])
    cut = crop(images, shifts, 4)
    assert cut.dtype == torch.uint8
    for image, source, (top, left) in zip(cut, padded, shifts.tolist(), strict=True):
        assert torch.equal(image, v2.functional.crop(source, top, left, 32, 32))


def test_augmented_batch_is_cropped_then_flipped_then_normalised() -> None:
    images, labels = random_images(6, channels=1, size=8), torch.arange(6)
    data = LabelledImages(images, labels, [0.5], [0.25], crop_padding=2)
    (batch,) = training(6, 6, crop_padding=2)
    assert batch.shift is not None
    assert batch.flip is not None
    assert 0 < batch.flip.sum() < 6  # both kinds are seen
    pixels, classes = data[batch]
    for pixel, label, (top, left), flip in zip(pixels, classes, batch.shift.tolist(), batch.flip, strict=True):
        expected = v2.functional.crop(v2.functional.pad(images[label], [2]), top, left, 8, 8)
        expected = v2.functional.horizontal_flip(expected) if flip else expected
        torch.testing.assert_close(pixel, (expected / 255 - 0.5) / 0.25, rtol=0, atol=1e-6)


# Distribution of the augmentation


def test_crops_and_flips_are_uniform_as_torchvisions_are() -> None:
    """Count crop and flip together: 162 equally likely outcomes, recovered from an image whose pixels say where."""
    count = 16200
    batch = joined([batch for epoch in range(3) for batch in training(count // 3, count // 3, epoch=epoch)])
    assert batch.shift is not None
    assert batch.flip is not None
    ours = (batch.shift[:, 0] * 9 + batch.shift[:, 1]) * 2 + batch.flip

    torch.manual_seed(0)
    augment = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()])
    position = (torch.arange(32).view(32, 1) * 32 + torch.arange(32)).view(1, 32, 32)
    theirs = []
    for _ in range(4050):
        image = augment(position)[0]
        flip = bool(image[16, 15] > image[16, 16])
        row, column = divmod(int(image[16, 15 if flip else 16]), 32)
        theirs.append(((row - 16 + 4) * 9 + column - 16 + 4) * 2 + flip)

    # Chi-square with 161 degrees of freedom: mean 161, standard deviation 18; 0.1 % lie above 222.
    for outcomes in (ours, torch.tensor(theirs)):
        observed = outcomes.bincount(minlength=162).double()
        expected = len(outcomes) / 162
        assert len(observed) == 162
        assert ((observed - expected) ** 2 / expected).sum() < 222


def test_crops_and_flips_do_not_follow_the_order() -> None:
    batch = joined(training(20000, 20000))
    assert batch.shift is not None
    assert batch.flip is not None
    fields = torch.stack([batch.indices, batch.shift[:, 0], batch.shift[:, 1], batch.flip]).double()
    correlation = torch.corrcoef(fields) - torch.eye(4)
    assert correlation.abs().max() < 4 / 20000**0.5


def test_nothing_is_drawn_that_is_not_asked_for() -> None:
    assert all(batch.shift is None and batch.flip is None for batch in TrainingSampler(10, 5, 0))
    assert all(batch.shift is None and batch.flip is not None for batch in TrainingSampler(10, 5, 0, flip=True))


# Order


def test_epoch_visits_every_image_at_most_once() -> None:
    batches = training(50, 8)
    assert [len(batch.indices) for batch in batches] == [8] * 6
    visited = joined(batches).indices.tolist()
    assert len(set(visited)) == 48
    assert set(visited) <= set(range(50))
    assert set(joined(training(48, 8)).indices.tolist()) == set(range(48))


def test_same_seed_and_epoch_are_the_same_draws_whatever_the_global_seed() -> None:
    torch.manual_seed(1)
    one = training(seed=3, epoch=2)
    torch.manual_seed(2)
    assert same(one, training(seed=3, epoch=2))


@pytest.mark.parametrize("other", [{"epoch": 1}, {"seed": 1}])
def test_other_epoch_or_seed_is_another_draw_of_everything(other: dict[str, int]) -> None:
    one, two = joined(training()), joined(training(**other))
    assert all(not torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_augmentation_leaves_the_order_alone() -> None:
    plain = torch.cat([batch.indices for batch in TrainingSampler(50, 8, 0)])
    assert torch.equal(plain, joined(training()).indices)


@pytest.mark.parametrize("batch_size", [50, 51, 1000])
def test_batch_larger_than_the_data_is_all_of_it(batch_size: int) -> None:
    (batch,) = training(50, batch_size)
    assert sorted(batch.indices.tolist()) == list(range(50))


# Several processes


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_shares_together_are_the_batch_of_one_process(world_size: int) -> None:
    shares = [training(50, 12, rank=rank, world_size=world_size) for rank in range(world_size)]
    for whole, *parts in zip(training(50, 12), *shares, strict=True):
        assert {len(part.indices) for part in parts} == {12 // world_size}
        together = joined(parts)
        order, expected = together.indices.argsort(), whole.indices.argsort()
        for field, expected_field in zip(together, whole, strict=True):
            assert torch.equal(field[order], expected_field[expected])


@pytest.mark.parametrize(("count", "batch_size"), [(20, 6), (7, 100), (1, 4), (2, 1), (0, 4)])
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_evaluation_visits_every_image_exactly_once(count: int, batch_size: int, world_size: int) -> None:
    visited = []
    for rank in range(world_size):
        sampler = EvaluationSampler(count, batch_size, rank, world_size)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        assert all(0 < len(batch.indices) <= batch_size for batch in batches)
        assert all(batch.shift is None and batch.flip is None for batch in batches)
        visited += [index for batch in batches for index in batch.indices.tolist()]
    assert sorted(visited) == list(range(count))


def test_evaluation_of_one_process_is_in_order() -> None:
    assert joined_indices(EvaluationSampler(20, 6)) == list(range(20))


def joined_indices(sampler: EvaluationSampler) -> list[int]:
    return [index for batch in sampler for index in batch.indices.tolist()]


# What results were made with


@pytest.mark.parametrize(("size", "channels", "expected"), [(32, 3, "f9a8dcb5bbd7252b"), (9, 1, "2e5f33db7acb09a3")])
def test_batches_are_those_that_results_were_made_with(size: int, channels: int, expected: str) -> None:
    """The digests are of the first implementation, which indexed every pixel."""
    padding = 4 if size == 32 else 2
    data = LabelledImages(
        random_images(300, channels, size), torch.arange(300), MEAN[:channels], STD[:channels], padding
    )
    digest = hashlib.sha256()
    for batch in (*TrainingSampler(300, 64, 3, padding, True), *EvaluationSampler(300, 64)):
        for field in data[batch]:
            digest.update(field.numpy().tobytes())
    assert digest.hexdigest()[:16] == expected


def test_images_at_positions_are_read_without_a_copy_of_the_data() -> None:
    images, positions = random_images(20), torch.tensor([3, 19, 0, 7])
    part = LabelledImages(images, torch.arange(4), MEAN, STD, 4, positions)
    whole = LabelledImages(images[positions], torch.arange(4), MEAN, STD, 4)
    (batch,) = training(4, 4)
    assert all(torch.equal(one, other) for one, other in zip(part[batch], whole[batch], strict=True))
    assert part.images.data_ptr() == images.data_ptr()


# What a batch costs


def test_no_operation_of_a_batch_indexes_or_chooses_pixel_by_pixel() -> None:
    data = LabelledImages(random_images(50), torch.arange(50), MEAN, STD, 4)
    (batch,) = training(50, 50)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        data[batch]
    names = {event.name for event in profile.events()}
    assert "aten::index_select" in names
    assert not {"aten::index", "aten::where", "aten::gather"} & names
