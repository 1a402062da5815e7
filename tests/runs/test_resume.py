"""A run that is stopped after every batch ends as one that never was: the same weights, the same metrics.csv."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from wconv.experiment.training import guard

DENOISER = (
    "datamodule=synthetic_images",
    "datamodule.train_images=6",
    "datamodule.test_images=4",
    "datamodule.drawn_size=24",
    "datamodule.val_size=2",
    "datamodule.patch_size=16",
    "datamodule.patches_per_epoch=64",
    "datamodule.batch_size=16",
)
DNCNN = (*DENOISER, "model=dncnn", "model.depth=3", "model.width=4", "task.sigma=[0,55]")
NAFNET = (*DENOISER, "model=nafnet", "model.width=4", "model.encoder=[1]", "model.middle=0", "model.decoder=[1]")
RUNS = {
    "standard": (),
    "trained densities and dropout": ("conv=trainable", "model.head=mlp"),
    "several batches a step": ("trainer.accumulate_grad_batches=2",),
    "validation inside epochs": ("trainer.val_check_interval=0.4",),
    "an epoch without validation": ("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3"),
    "no validation at all": ("trainer.max_steps=3",),
    "ends inside an epoch": ("trainer.max_steps=8",),
    "parts of epochs": ("trainer.limit_train_batches=3", "trainer.max_epochs=3"),
    "a network of torchvision": ("model=torchvision", "model.name=shufflenet_v2_x0_5", "trainer.max_steps=4"),
    "dncnn": DNCNN,
    "nafnet": NAFNET,
}


def leave_after(monkeypatch, batches: int) -> None:
    """Let every process leave after so many batches, as if a signal had come."""
    left = [batches]

    def asked() -> str:
        left[0] -= 1
        return "SIGUSR1" if left[0] < 0 else ""

    monkeypatch.setattr(guard, "stop_signal", asked)


def last(directory: Path) -> dict:
    return torch.load(directory / "checkpoints" / "last.ckpt", weights_only=True)


def timing(directory: Path) -> pd.DataFrame:
    return pd.read_csv(directory / "timing.csv")


@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_stopped_again_and_again(options, train, tmp_path, monkeypatch):
    monkeypatch.setattr("models.vgg.HIDDEN", 32)
    undisturbed = train(*options)
    assert undisturbed.code == 0, undisturbed.err

    elsewhere = (*options, f"paths.output_dir={tmp_path / 'other'}")
    seen: list[int] = []
    while len(seen) < 2 or seen[-1] > seen[-2]:  # until it is stopped twice at one step: in the test
        with pytest.MonkeyPatch.context() as patch:
            leave_after(patch, 0)
            assert train(*elsewhere).code == 75
        directory = next((tmp_path / "other").glob("*/*"))
        assert json.loads((directory / "results.json").read_text())["status"] == "interrupted"
        seen.append(last(directory)["global_step"])
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    done = train(*elsewhere)
    assert done.code == 0, done.err

    one, other = undisturbed.directory, done.directory
    assert (one / "metrics.csv").read_text() == (other / "metrics.csv").read_text()
    first, second = (json.loads((folder / "results.json").read_text()) for folder in (one, other))
    for key in ("metrics", "best_epoch", "epochs", "steps"):
        assert first[key] == second[key], key
    assert (one / "checkpoints" / "best.ckpt").exists() == (other / "checkpoints" / "best.ckpt").exists()
    weights, others = last(one)["state_dict"], last(other)["state_dict"]
    assert all(torch.equal(weights[key], others[key]) for key in weights)
    assert set(timing(one)["epoch"]) == set(timing(other)["epoch"])
