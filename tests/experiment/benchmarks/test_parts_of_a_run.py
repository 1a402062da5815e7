"""The benchmarks that look into a run: its batches, its steps, its memory."""

import argparse
from itertools import count, repeat

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from wconv.experiment.benchmarks import loader, memory, step
from wconv.experiment.benchmarks.prepared_run import images_of_classes, prepared_run
from wconv.experiment.common.exceptions import ConfigError

SMALL = ["model=vgg", "model.depth=11", "model.width=0.05", "datamodule=synthetic_classes", "datamodule.batch_size=8"]
SMALL += [
    "datamodule.train_images=200",
    "datamodule.val_size=20",
    "datamodule.test_images=20",
    "trainer.accelerator=cpu",
]


def test_batches_are_compared_by_images_a_second(monkeypatch):
    seconds = {"ours": [1.0, 2.0, 4.0], "usual": [1.0, 1.0, 1.0]}
    monkeypatch.setattr(loader, "seconds_in_turn", lambda works, pairs: seconds)
    rows = loader.compare("name", repeat(None), [0] * 64, usual_batch=8, pairs=3)
    assert [row["workers of the DataLoader"] for row in rows] == [0, 2]
    for row in rows:
        assert row["times as fast"].median == loader.BATCH / 8 / 2
        assert row["images/s"] == loader.BATCHES * loader.BATCH / 2
        assert row["images/s of the DataLoader"] == loader.BATCHES * 8


def test_both_sides_are_asked_for_as_many_batches(monkeypatch):
    ours, drawn = count(), []
    monkeypatch.setattr(loader, "DataLoader", lambda *args, **options: (drawn.append(1) for _ in count()))
    loader.compare("name", ours, [], usual_batch=8, pairs=2)
    rounds = 2 * (2 + 1)  # the first of each is a warm-up
    assert next(ours) == len(drawn) == rounds * loader.BATCHES


def test_the_usual_data_sets_give_what_ours_give(tmp_path):
    pictures = loader.Pictures(torch.full((2, 3, 32, 32), 7, dtype=torch.uint8), torch.tensor([3, 4]), np.asarray)
    assert (pictures[1][0] == 7).all()
    assert pictures[1][1] == 4
    Image.new("RGB", (60, 50)).save(tmp_path / "black.png")
    patch = loader.DecodedPatches([tmp_path / "black.png"])[5]
    assert patch.shape == (3, loader.PATCH, loader.PATCH)
    assert float(patch.std()) == pytest.approx(loader.SIGMA / 255, rel=0.1)


def test_photographs_are_drawn_in_the_size_of_div2k(tmp_path):
    (file,) = loader.draw_photos(tmp_path / "photos", 1)
    with Image.open(file) as image:
        assert image.size == (loader.WIDTH, loader.HEIGHT)


@pytest.mark.parametrize("network", [None, nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 100))])
def test_as_many_bare_steps_as_steps_are_timed(network):
    inside, bare = step.step_seconds(SMALL, network, 5)
    assert len(inside) == len(bare) == 5
    assert min(*inside, *bare) > 0


@pytest.mark.parametrize("channels_last", [True, False])
def test_the_network_is_laid_out_as_in_a_run(channels_last):
    with prepared_run([*SMALL, f"channels_last={channels_last}".lower()]) as run:
        kernels = [layer.weight for layer in run.task.model.modules() if isinstance(layer, nn.Conv2d)]
    assert all(kernel.is_contiguous(memory_format=torch.channels_last) for kernel in kernels) is channels_last


def test_the_bare_steps_leave_the_run_alone():
    def losses(alongside: bool) -> list[float]:
        with prepared_run([*SMALL, "trainer.max_epochs=1", "trainer.limit_val_batches=0"]) as run:
            if alongside:
                run.trainer.callbacks.append(step.AlternatingSteps())
            run.fit()
            return [float(parameter.detach().double().sum()) for parameter in run.task.model.parameters()]

    assert losses(True) == losses(False)


def test_a_gpu_that_is_not_there_is_said_before_anything_is_timed():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="no GPU"):
        step.measure(argparse.Namespace(device="cuda", data=None, overrides=[], pairs=1))


def test_every_storage_is_counted_once():
    sizes = memory.count(SMALL)
    with prepared_run(SMALL) as run:
        weights = sum(one.nbytes for one in (*run.task.model.parameters(), *run.task.model.buffers()))
        gradients = sum(one.nbytes for one in run.task.model.parameters())
    assert sizes["images, each held once"] == (200 + 20) * 3 * 32 * 32  # the validation images are 20 of the 200
    assert sizes["parameters and buffers"] == weights
    assert sizes["gradients"] == gradients
    assert sizes["state of the optimiser"] == gradients  # the momentum
    assert sizes["a batch"] == 8 * (3 * 32 * 32 * 4 + 8)
    assert sizes["activations kept for the backward pass"] > sizes["a batch"]


def test_what_is_seen_is_at_least_what_the_imports_take(monkeypatch):
    monkeypatch.setattr(memory, "QUARTER_VGG", SMALL[:3])
    monkeypatch.setattr(memory, "DRAWN", 200)
    rows = {row["part"]: row["MB"] for row in memory.measure(argparse.Namespace(data=None, overrides=SMALL[4:]))}
    assert 0 < rows[f"seen: `{memory.IMPORTS}`"] <= rows["seen: all that train.py imports"] * 1.05
    assert rows["seen: all that train.py imports"] < rows[f"seen: {memory.STEPS} steps of a run and a validation"]


def test_images_are_drawn_where_no_folder_is_named():
    assert images_of_classes(None, 300) == (
        ["datamodule=synthetic_classes", "datamodule.train_images=300"],
        "drawn images of 32x32",
    )
    assert images_of_classes("data", 300) == (["datamodule=cifar100", "paths.data_dir=data"], "CIFAR-100")
