"""The benchmarks of whole epochs: each measures train.py itself, and says what failed."""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from wconv.experiment.benchmarks import cost, epoch, growth, timed_run, usual_script
from wconv.experiment.benchmarks.operator import FormulaConv2d
from wconv.experiment.common.exceptions import RunError

CLASSIFIER = ["model=vgg", "model.depth=11", "model.width=0.05", "datamodule.batch_size=8"]
DENOISER = ["model=dncnn", "model.depth=3", "model.width=4", "datamodule.batch_size=4"]


@pytest.mark.parametrize("words", [CLASSIFIER, DENOISER], ids=["classifier", "denoiser"])
def test_a_timed_run_is_a_training_without_validation_and_test(words):
    found = timed_run.timed_run([*words, *timed_run.drawn_data(words, 3)], steps=3, epochs=2)
    assert found["seconds"] > 0
    assert found["first seconds"] > 0
    assert found["images/s"] * found["seconds"] == pytest.approx(3 * (8 if words is CLASSIFIER else 4), rel=0.01)
    assert found["macs"] > 10_000


def test_the_usual_script_trains_with_the_formula_and_its_data(tmp_path):
    root = tmp_path / "data"
    (root / "bsd400").mkdir(parents=True)
    Image.fromarray(np.zeros((50, 60), np.uint8)).save(root / "bsd400" / "a.png")
    model, patches = epoch._usual(DENOISER, 8, root, tmp_path)
    assert any(isinstance(layer, FormulaConv2d) for layer in model.modules())
    noisy, clean = patches[0]
    assert clean.shape == (1, epoch.PATCH, epoch.PATCH)
    assert not clean.any()
    assert float(noisy.std()) == pytest.approx(25 / 255, rel=0.1)
    model, images = epoch._usual(CLASSIFIER, 32, None, tmp_path)
    assert (len(images), images[0][0].shape) == (32, (3, 32, 32))
    before = model.features[0].weight.detach().clone()
    usual_script.epoch(model, images, batch=8, steps=2, workers=0)()
    assert not torch.equal(model.features[0].weight, before)


def test_epochs_are_compared_in_pairs(monkeypatch, capsys):
    monkeypatch.setattr(epoch, "BACKBONES", {"small": CLASSIFIER})
    monkeypatch.setattr(epoch, "BESIDE_THE_USUAL_SCRIPT", ("small",))
    script, *arms = epoch.measure(argparse.Namespace(pairs=2, steps=2, data=None, only=None))
    assert script["first"].startswith("usual script, ")
    assert script["data"] == "drawn"
    assert [row["epoch"] for row in arms] == [
        "small, train.py defaults: weighted / standard",
        "small, train.py fast=true: weighted / standard",
    ]
    for row in (script, *arms):
        assert row["first / second"].low <= row["first / second"].median <= row["first / second"].high


def test_the_first_pair_is_no_figure_and_the_order_turns(capsys):
    order: list[str] = []
    seconds = {"a": iter([100.0, 2.0, 4.0]), "b": iter([1.0, 1.0, 1.0])}

    def run(name: str) -> float:
        order.append(name)
        return next(seconds[name])

    row = epoch._compare(
        "x", {"a": lambda: run("a"), "b": lambda: run("b")}, argparse.Namespace(pairs=2, steps=1, data=None)
    )
    assert "".join(order) == "baabba"
    assert row["first / second"].median == 3.0


def test_a_row_that_failed_stays_in_the_cost_table(monkeypatch):
    def fake(words, *more):
        if "trainer.precision=bf16-mixed" in words:
            raise RunError("no bfloat16\nhere")
        return {"seconds": 2.0, "first seconds": 5.0, "images/s": 45.0, "peak MB": 900.0, "macs": 10**6}

    monkeypatch.setattr(cost, "timed_command", fake)
    monkeypatch.setattr(cost, "_matrix_rate", lambda *arguments: 1e9)
    name = "VGG-16, width 0.25"
    rows = cost.measure(argparse.Namespace(steps=2, device="cpu", models=[name], uncompiled=False))
    assert len(rows) == 12
    assert {row["channels_last"] for row in rows if row["compile"] == "true"} == {"true"}
    failed = [row for row in rows if "failed" in row]
    assert [row["failed"] for row in failed] == ["no bfloat16 here"] * 6
    whole = next(row for row in rows if "failed" not in row)
    assert (whole["s/epoch"], whole["s at the start"]) == (1000.0, 3.0)
    assert whole["share of the matrix rate"] == pytest.approx(3 * 1e6 * 45 / 1e9)


def test_a_denoiser_counts_for_its_patches(monkeypatch):
    found = {"seconds": 2.0, "first seconds": 5.0, "images/s": 16.0, "peak MB": 900.0, "macs": 256**2}
    row = cost._costs("DnCNN, 7 layers of 32", found, 1e9)
    assert (row["s/epoch"], row["million MACs"]) == (1000.0, 40**2 / 1e6)
    assert cost._costs("NAFNet, width 16", found, 1e9)["million MACs"] == 64**2 / 1e6


def test_a_command_is_timed_with_two_processes():
    words = [*DENOISER, "trainer.devices=2", *timed_run.drawn_data(DENOISER, 3)]
    found = timed_run.timed_command(words, steps=3, epochs=2)
    assert found["images/s"] * found["seconds"] == pytest.approx(3 * 4, rel=0.01)  # they share each batch


def test_a_command_that_fails_says_why():
    with pytest.raises(RunError, match=r"^train.py: .*unknown choice model=vg"):
        timed_run.timed_command(["model=vg"], steps=1)


def test_the_exponent_is_the_power():
    assert growth.growth_exponent([1, 2, 4], [3, 12, 48]) == pytest.approx(2)


def test_growth_has_a_row_a_point_and_a_figure(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(growth, "timed_command", lambda words, *more: {"images/s": 100.0, "peak MB": 500.0})
    rows = growth.measure(argparse.Namespace(steps=2, device="cpu", out=tmp_path))
    assert len(rows) == sum(len(values) for _, values, _ in growth.AXES.values())
    table = pd.DataFrame(rows).set_index(["axis", "value"])
    assert table.loc[("images of a batch", 64), "ms/step"] == 640.0
    assert table.loc[("images of a batch", 8), "exponent of the time"] == pytest.approx(1)
    assert set(table.loc["processes that share a batch", "of the arithmetic"]) == {-1}
    assert Image.open(tmp_path / "growth.png").size[0] > 600
