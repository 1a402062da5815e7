"""train.py from end to end, on drawn images."""

import re
import shutil
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image

from tests.tiny import read_results
from wconv.experiment.reports.comparison import Comparison
from wconv.experiment.reports.curves import draw_comparison
from wconv.experiment.reports.notes import notes
from wconv.experiment.runs.saved_runs import find_runs
from wconv.experiment.tasks.classification import Classification

ROOT = Path(__file__).resolve().parents[2]


def test_a_run_leaves_what_the_design_promises(train):
    done = train("conv=weighted", "seed=3")
    assert done.code == 0, done.err
    directory = done.directory
    content = read_results(directory)
    assert directory.name == f"vgg-weighted-s3-{content['config_hash'][:8]}"
    assert directory.parent.name == "classification"
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files >= {
        "config.yaml",
        "results.json",
        "metrics.csv",
        "timing.csv",
        "checkpoints/best.ckpt",
        "checkpoints/last.ckpt",
        "images/curves.png",
    }
    assert content["status"] == "completed"
    assert (content["model"], content["conv"], content["init"], content["seed"]) == ("vgg", "weighted", "kaiming", 3)
    assert set(content["metrics"]) == {
        f"{part}/{name}" for part in ("test", "val") for name in ("acc", "acc_top5", "loss")
    }
    assert (content["epochs"], content["steps"]) == (2, 2 * (180 // 32))
    assert content["parameters"] > 0
    assert content["macs"] > 0
    assert {tuple(map(tuple, layer["density"])) for layer in content["layers"]} == {((0.7,), (0.7,))}
    assert content["versions"]["torch"] == version("torch")
    assert {"conv=weighted", "seed=3"} <= set(content["overrides"])
    history = pd.read_csv(directory / "metrics.csv")
    assert history["epoch"].tolist() == [0, 1, 2]  # two epochs and the test
    assert history["val/acc"].count() == 2
    best = history.loc[history["val/acc"].idxmax()]
    assert content["metrics"]["val/acc"] == pytest.approx(best["val/acc"])
    assert OmegaConf.load(directory / "config.yaml").conv.density.k3 == [0.7]
    assert not list(ROOT.glob("outputs"))
    assert not list(ROOT.glob("multirun*"))


def test_the_tested_weights_are_those_of_the_best_epoch(train):
    done = train("trainer.max_epochs=4", "optimizer.lr=0.3")
    content = read_results(done.directory)
    checkpoint = torch.load(done.directory / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == content["best_epoch"]


def test_a_run_that_ends_before_its_first_validation_is_tested_as_it_is(train):
    done = train("trainer.max_steps=2")
    assert done.code == 0, done.err
    content = read_results(done.directory)
    assert content["best_epoch"] is None
    assert set(content["metrics"]) == {"test/acc", "test/acc_top5", "test/loss"}


def test_same_seed_same_result_in_another_folder(train, tmp_path):
    one, two = train("conv=weighted"), train("conv=weighted", f"paths.output_dir={tmp_path / 'other'}")
    assert one.directory != two.directory
    assert one.directory.name == two.directory.name
    assert read_results(one.directory)["metrics"] == read_results(two.directory)["metrics"]
    assert (one.directory / "metrics.csv").read_bytes() == (two.directory / "metrics.csv").read_bytes()


def test_another_seed_is_another_run(train):
    one, two = train("seed=1"), train("seed=2")
    assert one.directory.name != two.directory.name
    assert read_results(one.directory)["metrics"] != read_results(two.directory)["metrics"]


def test_a_relative_output_folder_is_below_the_current_one(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("paths.output_dir=here").directory.is_relative_to(tmp_path / "here")


@pytest.mark.parametrize("every_seconds", [0, 600])
def test_a_diverged_run_ends_at_once_and_names_the_last_good_checkpoint(every_seconds, train, tmp_path):
    options = ("model.batch_norm=false", "optimizer.lr=1e20", "scheduler=constant")
    done = train(*options, f"callbacks.checkpoint.every_seconds={every_seconds}")
    assert done.code == 1
    assert re.search(r"the loss is NaN or infinite at step [23]; ", done.err)
    directory = next((tmp_path / "runs").glob("classification/*"))
    assert read_results(directory)["status"] == "failed"
    last = directory / "checkpoints" / "last.ckpt"
    if every_seconds:
        assert "no checkpoint was made before it" in done.err
        assert not last.exists()
    else:
        assert f"the last good checkpoint is {last};" in done.err
        saved = torch.load(last, weights_only=True)
        assert saved["global_step"] == 1  # the step that took the weights away had a finite loss itself


def test_a_diverged_run_is_counted_and_named_beside_the_others_of_its_row(train, tmp_path, monkeypatch):
    train("seed=1")
    original = Classification.training_step

    def diverge(self, batch, batch_idx):
        return original(self, batch, batch_idx) * float("nan" if self.current_epoch else "1")

    monkeypatch.setattr(Classification, "training_step", diverge)
    assert train("seed=2").code == 1
    (folder,) = (tmp_path / "runs").glob("classification/*-s2-*")
    comparison = Comparison(find_runs([tmp_path / "runs"]))
    assert comparison.table[["n", "diverged"]].values.tolist() == [[1, 1]]
    assert f"Diverged, in no mean: {folder} (seed 2): train/loss is not a finite number." in notes(comparison)
    draw_comparison(comparison, tmp_path / "curves.png")


def test_timing_has_a_row_for_every_epoch(train):
    done = train("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3", "trainer.num_sanity_val_steps=1")
    assert done.code == 0, done.err
    timing = pd.read_csv(done.directory / "timing.csv")
    assert timing["epoch"].tolist() == [0, 1, 2]
    assert read_results(done.directory)["seconds"] == pytest.approx(timing["seconds"].sum())


def test_a_short_climb_of_one_cycle(train):
    assert train("scheduler.warmup=0.1", "trainer.max_epochs=2").code == 0  # a climb of exactly one of ten steps


@pytest.mark.parametrize("conv", ["weighted", "trainable", "scaled_init"])
def test_an_arm_without_a_density_that_fits_warns(train, conv):
    with pytest.warns(UserWarning, match="stays standard"):
        assert train(f"conv={conv}", "conv.density.k3=null", "debug=fast").code == 0


def test_relative_folders_of_a_grid_are_below_the_current_one(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = train("-m", "paths.output_dir=one,two", "debug=fast")
    assert done.code == 0, done.err
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@pytest.fixture
def folder_of_classes(tmp_path):
    """Images of two classes, in a folder whose name needs quotes."""
    root = tmp_path / "my photos, it's çà"
    for part, count in (("train", 20), ("test", 4)):
        for number, name in enumerate(("chat", "élan")):
            folder = root / part / name
            folder.mkdir(parents=True)
            for image in range(count):
                Image.new("RGB", (40, 36), (100 * number + image, 50, 200)).save(folder / f"{image}.png")
    return root


def test_anybodys_images(train, folder_of_classes):
    done = train("datamodule=class_folder", f"paths.data_dir={folder_of_classes}", "datamodule.batch_size=8")
    assert done.code == 0, done.err
    content = read_results(done.directory)
    assert set(content["metrics"]) == {"test/acc", "test/loss", "val/acc", "val/loss"}
    assert content["steps"] == 2 * (36 // 8)


def test_validation_images_of_the_data_set_and_held_out_ones_exclude_each_other(train, folder_of_classes):
    shutil.copytree(folder_of_classes / "test", folder_of_classes / "val")
    done = train("datamodule=class_folder", f"paths.data_dir={folder_of_classes}", "datamodule.val_size=4")
    assert done.code == 2
    assert "datamodule.val_dir=null" in done.err


def test_a_configuration_names_no_folder_of_the_machine_where_it_lies_below_the_checkout(train):
    """So that a run can be committed, and read in another checkout."""
    done = train(f"paths.data_dir={ROOT / 'data' / 'mine'}", "debug=fast")
    assert yaml.safe_load((done.directory / "config.yaml").read_text())["paths"]["data_dir"] == "data/mine"
    assert str(ROOT) not in (done.directory / "config.yaml").read_text()


def test_one_class_is_none(train, folder_of_classes):
    for part in ("train", "test"):
        shutil.rmtree(folder_of_classes / part / "élan")
    done = train("datamodule=class_folder", f"paths.data_dir={folder_of_classes}")
    assert done.code == 2
    assert "one class only (chat)" in done.err


def test_a_grid_runs_all_and_ends_with_the_worst_code(train, tmp_path):
    done = train("-m", "conv=standard,weighted", "datamodule.train_subset=100,1000")
    assert done.code == 2
    assert "1000" in done.err
    assert len(list((tmp_path / "runs").glob("classification/*/results.json"))) == 2
    assert not list(ROOT.glob("multirun*"))


def test_all_arms_start_from_the_same_weights(train):
    """With a step too small to move them, the last weights are the first ones."""

    def weights(conv: str) -> torch.Tensor:
        frozen = ("optimizer.lr=1e-30", "optimizer.weight_decay=0", "trainer.max_epochs=1")
        checkpoint = torch.load(
            train(f"conv={conv}", *frozen).directory / "checkpoints" / "last.ckpt", weights_only=True
        )
        return checkpoint["state_dict"]["model.features.0.weight"]

    standard, weighted, scaled = (weights(conv) for conv in ("standard", "weighted", "scaled_init"))
    assert torch.equal(standard, weighted)
    phi = torch.tensor([[0.49, 0.7, 0.49], [0.7, 1, 0.7], [0.49, 0.7, 0.49]])
    assert torch.equal(scaled, standard * phi)


def test_trained_densities_are_logged_and_move_while_the_weights_keep_their_recipe(train):
    done = train("conv=trainable", "conv.lr=0.1")
    assert done.code == 0, done.err
    history = pd.read_csv(done.directory / "metrics.csv")
    layers = {layer["name"]: layer for layer in read_results(done.directory)["layers"]}
    assert all(layer["trainable"] for layer in layers.values())
    best = int(read_results(done.directory)["best_epoch"])
    for name, layer in layers.items():
        logged = history[f"density/{name}/0"]
        assert logged[0] != pytest.approx(0.7, abs=1e-4)
        assert layer["density"][0] == layer["density"][1] == [pytest.approx(logged[best], rel=1e-6)]
    standard = pd.read_csv(train("conv=standard").directory / "metrics.csv")
    assert history["lr"].dropna().tolist() == pytest.approx(standard["lr"].dropna().tolist(), rel=1e-6)


def test_one_density_can_be_shared(train):
    layers = read_results(train("conv=trainable", "conv.share=true").directory)["layers"]
    assert len({layer["density"][0][0] for layer in layers}) == 1


def test_a_density_no_layer_has_warns_only_if_asked_for(train, recwarn):
    train("conv=weighted", "debug=fast")
    assert not [warning for warning in recwarn if "kernel size" in str(warning.message)]
    with pytest.warns(UserWarning, match="kernel size 5"):
        train("conv=weighted", "conv.density.k5=[0.3,0.8]", "debug=fast")
