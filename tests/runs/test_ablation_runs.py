"""conv=ablation through train.py: ten arms, four backbones, and the tools that read their runs."""

import pytest
import torch

from tests.tiny import DENOISER, command_line
from wconv.experiment.inference.load import load_denoiser, load_network
from wconv.experiment.runs.arm_styles import ARMS
from wconv.experiment.runs.saved_runs import find_runs

CLASSIFIER = (
    "datamodule.train_images=60",
    "datamodule.batch_size=16",
    "datamodule.test_images=20",
    "trainer.max_epochs=1",
)
TINY_DENOISER = command_line(
    {key: value for key, value in DENOISER.items() if not key.startswith("model")},
    "datamodule.test_images=2",
    "datamodule.drawn_size=24",
    "datamodule.patches_per_epoch=32",
    "trainer.max_epochs=1",
)
BACKBONES = {
    "vgg": CLASSIFIER,
    "resnet": (*CLASSIFIER, "model=resnet", "model.depth=20", "model.width=0.1"),
    "dncnn": (*TINY_DENOISER, "model=dncnn", "model.depth=3", "model.width=4"),
    "nafnet": (
        *TINY_DENOISER,
        "model=nafnet",
        "model.width=2",
        "model.encoder=[1]",
        "model.middle=0",
        "model.decoder=[1]",
    ),
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_ten_arms_train_and_are_told_apart(backbone, train, tmp_path):
    decay = "optimizer.weight_decay=0.1"  # the denoisers have none
    eight = ("conv.start=none,phi", "conv.step=false,true", "conv.decay=false,true")
    for grid in (eight, ("conv.start=scale,shape",)):
        done = train(*BACKBONES[backbone], "-m", "conv=ablation", *grid, decay)
        assert done.code == 0, done.err
    runs = find_runs([tmp_path / "runs"])
    names = ["standard", "weighted", "scaled_init", "step", "decay", "start + step", "start + decay", "step + decay"]
    assert sorted(run.features["conv"] for run in runs) == sorted([*names, "scale", "shape"])
    assert {run.features["conv"] for run in runs} <= {arm.name for arm in ARMS}
    assert all(run.folder.name.startswith(f"{backbone}-ablation-s0-") for run in runs)
    assert len({str(run.metrics) for run in runs}) == 10


def test_none_of_the_parts_is_the_standard_run_and_all_are_the_weighted_one(train, tmp_path):
    parts = ("conv.step=true", "conv.decay=true")
    pairs = {
        "standard": train("conv=ablation"),
        "weighted": train("conv=ablation", "conv.start=phi", *parts),
        "scaled_init": train("conv=ablation", "conv.start=phi"),
    }
    for arm, done in pairs.items():
        named = train(f"conv={arm}")
        assert (done.directory / "metrics.csv").read_text() == (named.directory / "metrics.csv").read_text()
        first, second = (
            torch.load(run.directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
            for run in (done, named)
        )
        assert all(torch.equal(first[key], second[key]) for key in second)
    runs = find_runs([tmp_path / "runs"])
    assert len({run.identity for run in runs}) == 3  # a table counts them as the same


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_bf16_mixed_trains_with_every_optimiser(optimizer, train):
    options = ("conv=ablation", "conv.decay=true", f"optimizer={optimizer}", "optimizer.weight_decay=0.1")
    mixed, whole = (train(*options, f"trainer.precision={precision}") for precision in ("bf16-mixed", "32-true"))
    assert (mixed.code, whole.code) == (0, 0), mixed.err
    losses = [run.results["metrics"]["test/loss"] for run in (mixed, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=0.2)
    assert losses[0] != losses[1]


@pytest.mark.parametrize("step", ["true", "false"])
def test_the_network_of_a_run_is_loaded_folded_or_not(step, train):
    decay = "false" if step == "true" else "true"
    done = train(*BACKBONES["dncnn"], "conv=ablation", "conv.start=scale", f"conv.step={step}", f"conv.decay={decay}")
    assert done.code == 0, done.err
    trained = load_network(done.directory).model
    denoiser = load_denoiser(done.directory)
    assert denoiser.name == ("dncnn, scale + step" if step == "true" else "dncnn, scale + decay")
    images = torch.rand(1, 3, 24, 24)
    with torch.inference_mode():
        assert torch.equal(trained(images), denoiser.model.cpu()(images))
    assert all((layer["density"] is not None) == (step == "true") for layer in done.results["layers"])
