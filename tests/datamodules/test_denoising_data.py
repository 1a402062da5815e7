"""What all denoising data shares: what is held out, how batches are made, and what a process gets of them."""

from types import SimpleNamespace
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from datamodules.batching.packed_images import PackedImages
from datamodules.batching.patches import EvaluationImage, Patches, apply_symmetry
from datamodules.denoising import MAX_VALIDATION_IMAGES, DenoisingDataModule, in_unit_range
from tests.datamodules.small_data import refused


class InMemory(DenoisingDataModule):
    """Images without files: each says by its values which it is."""

    def __init__(self, train: int = 40, val: int | None = None, tests: tuple[int, ...] = (3, 2), **options: Any):
        numbers = {"batch_size": 6, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 30}
        super().__init__(**{**numbers, **options})
        self.counts = (train, val, tests)

    def make(self, count: int, size: int = 16) -> PackedImages:
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(256, (count, self.channels, size, size), dtype=torch.uint8, generator=generator)
        return PackedImages.from_tensors(list(images), [f"{position:03}" for position in range(count)])

    def fingerprint(self) -> dict[str, Any]:
        return {}

    def read_train(self) -> tuple[PackedImages, PackedImages | None]:
        train, val, _ = self.counts
        return self.make(train), None if val is None else self.make(val)

    def read_test(self) -> dict[str, PackedImages]:
        return {f"set{count}": self.make(count) for count in self.counts[2]}


def load(**options: Any) -> InMemory:
    data = InMemory(**options)
    data.load()
    return data


def joined(data: DenoisingDataModule) -> Tensor:
    return torch.cat([batch.clean for batch in data.train_dataloader()])


# What is held out


@pytest.mark.parametrize(
    ("images", "held"), [(2, 1), (9, 1), (40, 4), (199, 19), (200, 20), (900, MAX_VALIDATION_IMAGES)]
)
def test_a_tenth_is_held_out_at_most_twenty(images: int, held: int) -> None:
    data = load(train=images)
    assert (len(data.train), len(data.val)) == (images - held, held)
    assert sorted([*data.train.names, *data.val.names]) == [f"{position:03}" for position in range(images)]


def test_what_is_held_out_does_not_depend_on_the_seed_and_is_not_the_first_files() -> None:
    data, other = load(seed=0, val_size=10), load(seed=1, val_size=10)
    assert data.val.names == other.val.names
    assert data.train.names == other.train.names
    assert list(data.val.names) != [f"{position:03}" for position in range(10)]
    assert data.val.names == sorted(data.val.names)
    assert not torch.equal(joined(data), joined(other))


def test_images_keep_their_pixels_when_some_are_held_out() -> None:
    data = load(val_size=10)
    everything = data.make(40)
    for images in (data.train, data.val):
        assert all(torch.equal(image, everything[int(name)]) for image, name in zip(images, images.names, strict=True))


def test_smaller_subsets_are_parts_of_larger_ones() -> None:
    parts = [load(train_subset=subset, val_size=2) for subset in (5, 20, 40)]
    names = [{*data.train.names, *data.val.names} for data in parts]
    assert [len(some) for some in names] == [5, 20, 40]
    assert names[0] < names[1] < names[2]
    assert parts[0].val.names == parts[1].val.names == parts[2].val.names


def test_named_validation_images_leave_all_others_to_train_with() -> None:
    data = load(val=3)
    assert (len(data.train), len(data.val)) == (40, 3)
    assert len(load(val=3, train_subset=1).train) == 1


@pytest.mark.parametrize("subset", [0, -1, 41])
def test_subset_that_is_not_there(subset: int) -> None:
    refused(
        load,
        f"datamodule.train_subset={subset}: there are 40 training images; choose 1 to 40, or null",
        train_subset=subset,
    )


@pytest.mark.parametrize("val_size", [0, -1, 40, 100])
def test_nothing_left_on_one_side(val_size: int) -> None:
    asked = f"datamodule.val_size={val_size}: {val_size} of 40 training images would be held out"
    refused(load, asked, "leave one at least on either side", val_size=val_size)
    refused(load, f"datamodule.val_size=5: 5 of {5} training images", val_size=5, train_subset=5)
    refused(load, "datamodule.val_size=null: 1 of 1 training images", train_subset=1)


def test_number_of_held_out_images_and_named_ones() -> None:
    refused(
        load,
        "datamodule.val_size=2, but datamodule.val_dir names",
        "datamodule.val_dir=null",
        val=3,
        val_size=2,
    )


def test_small_images_are_said_once() -> None:
    with pytest.warns(UserWarning, match="smaller than a patch") as caught:
        shape = joined(load(patch_size=17)).shape
    assert shape == (30, 3, 17, 17)
    assert [str(warning.message) for warning in caught] == [
        "36 of 36 training images are smaller than a patch of 17x17; they are used whole, padded by reflection"
    ]


@pytest.mark.filterwarnings("error")
def test_images_as_large_as_the_patch_are_not_small() -> None:
    load(patch_size=16)


# Batches


def test_batches_are_patches_of_the_training_images_alone() -> None:
    data = load(patch_size=16, patches_per_epoch=600)
    held, seen = set(data.val.names), set()
    everything = {image.numpy().tobytes(): name for image, name in zip(data.make(40), data.make(40).names, strict=True)}
    for batch in data.train_dataloader():
        assert isinstance(batch, Patches)
        assert batch.clean.dtype == torch.uint8
        assert len(batch.clean) == 6
        seen |= {everything[patch.numpy().tobytes()] for patch in batch.clean}
    assert seen == set(everything.values()) - held


@pytest.mark.parametrize("channels", [3, 1])
def test_on_the_device_patches_become_numbers_from_0_to_1_in_their_symmetry(channels: int) -> None:
    data = load(channels=channels)
    batch = next(iter(data.train_dataloader()))
    after = data.on_after_batch_transfer(batch, 0)
    assert after.clean.dtype == torch.float32
    assert (after.clean.min() >= 0, after.clean.max() <= 1) == (True, True)
    assert len(batch.symmetry.unique()) > 1
    assert torch.equal(after.clean, apply_symmetry(batch.clean, batch.symmetry).float() / 255)


def test_frames_become_numbers_from_0_to_1_and_keep_what_they_are() -> None:
    data = load()
    frame = next(iter(data.test_dataloader()))
    assert isinstance(frame, EvaluationImage)
    before = frame.clean.clone()
    after = data.on_after_batch_transfer(frame, 0)
    assert after.clean.dtype == torch.float32
    assert torch.equal(after.clean, before.float() / 255)
    assert after[1:] == ("set3", 0, "000")
    assert torch.equal(frame.clean, before)


def test_unit_range_reaches_both_ends() -> None:
    assert in_unit_range(torch.tensor([0, 51, 255], dtype=torch.uint8)).tolist() == pytest.approx([0, 0.2, 1])


def test_loaders_of_validation_and_test() -> None:
    data = load(val_size=5)
    assert [(frame.set_name, frame.name) for frame in data.val_dataloader()] == [
        ("val", name) for name in data.val.names
    ]
    assert [(frame.set_name, frame.position) for frame in data.test_dataloader()] == [
        ("set3", 0),
        ("set3", 1),
        ("set3", 2),
        ("set2", 0),
        ("set2", 1),
    ]


def test_what_the_model_and_the_task_are_told() -> None:
    data = InMemory(channels=1)
    assert (data.task, data.model_arguments, data.task_arguments) == ("denoising", {"channels": 1}, {})


class Recorder(pl.LightningModule):
    """Keep what Lightning hands over."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.epochs: dict[int, list[Tensor]] = {}
        self.tested: list[tuple[str, int]] = []

    def training_step(self, batch: Patches, batch_idx: int) -> Tensor:
        assert batch.clean.dtype == torch.float32
        self.epochs.setdefault(self.current_epoch, []).append(batch.clean)
        return self.weight * batch.clean.mean()

    def test_step(self, frame: EvaluationImage, batch_idx: int) -> None:
        assert frame.clean.dtype == torch.float32
        self.tested.append((frame.set_name, frame.position))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore")
def test_lightning_draws_other_patches_each_epoch() -> None:
    data, module = load(), Recorder()
    options = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = pl.Trainer(max_epochs=3, accelerator="cpu", logger=False, limit_val_batches=0, **options)
    trainer.fit(module, datamodule=data)
    first, second, third = (torch.cat(module.epochs[epoch]) for epoch in range(3))
    assert len(first) == len(second) == 30
    assert not torch.equal(first, second)
    assert not torch.equal(second, third)
    trainer.test(module, datamodule=data, verbose=False)
    assert module.tested == [("set3", 0), ("set3", 1), ("set3", 2), ("set2", 0), ("set2", 1)]


# Several processes


def as_process(rank: int, world_size: int) -> InMemory:
    data = load()
    data.trainer = SimpleNamespace(global_rank=rank, world_size=world_size)
    return data


@pytest.mark.parametrize("world_size", [2, 3, 4, 7])
def test_frames_are_shared_out_without_padding_or_doubles(world_size: int) -> None:
    shares = [
        [(frame.set_name, frame.position) for frame in as_process(rank, world_size).test_dataloader()]
        for rank in range(world_size)
    ]
    everything = [("set3", 0), ("set3", 1), ("set3", 2), ("set2", 0), ("set2", 1)]
    assert sorted(frame for share in shares for frame in share) == sorted(everything)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("world_size", [2, 3])
def test_patches_of_the_processes_make_up_the_batch(world_size: int) -> None:
    loaders = [as_process(rank, world_size).train_dataloader() for rank in range(world_size)]
    for whole, *parts in zip(load().train_dataloader(), *loaders, strict=True):
        assert {len(part.clean) for part in parts} == {6 // world_size}
        for rank, part in enumerate(parts):
            assert torch.equal(part.clean, whole.clean[rank::world_size])
            assert torch.equal(part.symmetry, whole.symmetry[rank::world_size])
