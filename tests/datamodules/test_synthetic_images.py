"""The drawn images as denoising data; the drawing itself is tested in test_dead_leaves.py."""

from typing import Any

import pytest
import torch

from datamodules.dead_leaves import draw_images
from datamodules.synthetic_images import SyntheticImages


def make(**options: Any) -> SyntheticImages:
    drawn = {"train_images": 10, "test_images": 2, "drawn_size": 16, "image_seed": 0}
    numbers = {"batch_size": 4, "seed": 0, "channels": 3, "patch_size": 8, "patches_per_epoch": 40}
    return SyntheticImages(**{**drawn, **numbers, **options})


def load(**options: Any) -> SyntheticImages:
    data = make(**options)
    data.load()
    return data


@pytest.mark.parametrize("channels", [3, 1])
def test_images_are_the_drawn_ones(channels: int) -> None:
    data = load(channels=channels)
    train, test = (draw_images(count, 16, 0, part, channels) for count, part in ((10, "train"), (2, "test")))
    assert (len(data.train), len(data.val), list(data.test)) == (9, 1, ["dead_leaves"])
    for images in (data.train, data.val):
        assert all(
            torch.equal(image, train[int(name.removeprefix("train"))])
            for image, name in zip(images, images.names, strict=True)
        )
    assert list(data.test["dead_leaves"].names) == ["test0000", "test0001"]
    assert all(torch.equal(image, drawn) for image, drawn in zip(data.test["dead_leaves"], test, strict=True))
    batches = list(data.train_dataloader())
    assert len(batches) == 10
    assert batches[0].clean.shape == (4, channels, 8, 8)


def test_seed_of_the_run_draws_the_same_images_and_another_image_seed_others() -> None:
    data, same, other = load(), load(seed=1), load(image_seed=1)
    assert torch.equal(data.test["dead_leaves"].pixels, same.test["dead_leaves"].pixels)
    assert torch.equal(data.train.pixels, same.train.pixels)
    assert not torch.equal(data.test["dead_leaves"].pixels, other.test["dead_leaves"].pixels)
    assert not torch.equal(next(iter(data.train_dataloader())).clean, next(iter(same.train_dataloader())).clean)


def test_fingerprint_needs_no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datamodules.synthetic_images.draw_images", None)
    monkeypatch.setattr("datamodules.synthetic_images.VERSION", 7)
    assert make().fingerprint() == {"dataset": "synthetic_images", "version": 7}


def test_images_too_small_to_be_evaluated_on() -> None:
    with pytest.raises(ValueError, match=r"datamodule\.drawn_size=10: choose 11 or more") as caught:
        make(drawn_size=10)
    assert "\n" not in str(caught.value)
    assert load(drawn_size=11).test["dead_leaves"][0].shape == (3, 11, 11)
