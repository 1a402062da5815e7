"""train.py from end to end, on drawn images."""

import json
import shutil
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
import torch
from filelock import FileLock
from omegaconf import OmegaConf
from PIL import Image

from datamodules.synthetic_classes import SyntheticClasses
from wconv.experiment.classification import Classification, Scores

ROOT = Path(__file__).resolve().parents[1]


def results(directory: Path) -> dict:
    return json.loads((directory / "results.json").read_text())


def test_a_run_leaves_what_the_design_promises(train):
    done = train("conv=weighted", "seed=3")
    assert done.code == 0, done.err
    directory = done.directory
    content = results(directory)
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
    content = results(done.directory)
    checkpoint = torch.load(done.directory / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["epoch"] == content["best_epoch"]


def test_a_run_that_ends_before_its_first_validation_is_tested_as_it_is(train):
    done = train("trainer.max_steps=2")
    assert done.code == 0, done.err
    content = results(done.directory)
    assert content["best_epoch"] is None
    assert set(content["metrics"]) == {"test/acc", "test/acc_top5", "test/loss"}


def test_the_same_command_again_returns_the_result(train):
    first = train()
    checkpoint = first.directory / "checkpoints" / "last.ckpt"
    made = checkpoint.stat().st_mtime_ns
    again = train()
    assert again.code == 0
    assert "completed before" in again.out
    assert again.directory == first.directory
    assert checkpoint.stat().st_mtime_ns == made


def test_force_starts_over(train):
    first = train()
    (first.directory / "leftover").write_text("of the first run")
    again = train("force=true")
    assert again.directory == first.directory
    assert "completed before" not in again.out
    assert not (again.directory / "leftover").exists()


def test_same_seed_same_result_in_another_folder(train, tmp_path):
    one, two = train("conv=weighted"), train("conv=weighted", f"paths.output_dir={tmp_path / 'other'}")
    assert one.directory != two.directory
    assert one.directory.name == two.directory.name
    assert results(one.directory)["metrics"] == results(two.directory)["metrics"]
    assert (one.directory / "metrics.csv").read_bytes() == (two.directory / "metrics.csv").read_bytes()


def test_another_seed_is_another_run(train):
    one, two = train("seed=1"), train("seed=2")
    assert one.directory.name != two.directory.name
    assert results(one.directory)["metrics"] != results(two.directory)["metrics"]


def test_a_relative_output_folder_is_below_the_current_one(train, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert train("paths.output_dir=here").directory.is_relative_to(tmp_path / "here")


@pytest.mark.parametrize("conv", ["standard", "scaled_init", "trainable"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(conv, train, tmp_path, monkeypatch):
    """Stopped in the third of three epochs; the mlp head has dropout, with a stream of its own."""
    monkeypatch.setattr("models.vgg.HIDDEN", 32)
    options = (f"conv={conv}", "model.head=mlp", "trainer.max_epochs=3")
    undisturbed = train(*options)

    original = Classification.on_validation_epoch_end

    def stop_in_the_third(self):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "on_validation_epoch_end", stop_in_the_third)
        stopped = train(*options, f"paths.output_dir={tmp_path / 'other'}")
    assert stopped.code == 75
    directory = next((tmp_path / "other").glob("classification/*"))
    assert results(directory)["status"] == "interrupted"
    resumed = train(*options, f"paths.output_dir={tmp_path / 'other'}")
    assert "going on from step" in resumed.out
    assert resumed.directory == directory
    assert (directory / "metrics.csv").read_bytes() == (undisturbed.directory / "metrics.csv").read_bytes()
    assert results(directory)["metrics"] == results(undisturbed.directory)["metrics"]


def test_a_run_that_was_moved_knows_its_best_epoch(train, tmp_path):
    """Stopped in the last of four epochs, of which the first was made the best by hand; then the folder moves."""
    worse = iter([0.9, 0.5, 0.4])
    original = Scores.collect

    def collect(self, prefix):
        scores = original(self, prefix)
        if prefix == "val":
            value = next(worse, None)
            if value is None:
                raise KeyboardInterrupt
            scores["val/acc"] = torch.tensor(value)
        return scores

    options = ("trainer.max_epochs=4",)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Scores, "collect", collect)
        assert train(*options, f"paths.output_dir={tmp_path / 'here'}").code == 75
    (tmp_path / "here").rename(tmp_path / "there")
    content = results(train(*options, f"paths.output_dir={tmp_path / 'there'}").directory)
    assert content["best_epoch"] == 0
    assert content["metrics"]["val/acc"] == 0.9
    directory = next((tmp_path / "there").glob("classification/*"))
    assert torch.load(directory / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 0


def test_what_another_process_finished_in_the_meantime_is_not_run_again(train, monkeypatch):
    """The other process ends its run while this one still reads its data."""
    directory = train().directory
    finished = (directory / "results.json").read_text()
    (directory / "results.json").unlink()
    original = SyntheticClasses.load

    def load(self):
        original(self)
        (directory / "results.json").write_text(finished)

    monkeypatch.setattr(SyntheticClasses, "load", load)
    monkeypatch.setattr(Classification, "training_step", None)
    done = train()
    assert done.code == 0, done.err
    assert (directory / "results.json").read_text() == finished


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"config_hash": ', "half"])
def test_results_that_cannot_be_read_are_none(train, content):
    directory = train("trainer.max_epochs=1").directory
    (directory / "results.json").write_text(content)
    done = train("trainer.max_epochs=1")
    assert done.code == 0, done.err
    assert results(directory)["status"] == "completed"


def test_a_damaged_checkpoint_is_named(train):
    directory = train().directory
    (directory / "results.json").unlink()
    (directory / "checkpoints" / "last.ckpt").write_bytes(b"not a checkpoint")
    done = train()
    assert done.code == 1
    assert "last.ckpt cannot be read; remove it, or start over with force=true" in done.err
    assert train("force=true").code == 0


def test_a_diverged_run_shows_that_it_has(train):
    done = train("model.batch_norm=false", "optimizer.lr=1e20", "trainer.max_epochs=1")
    text = (done.directory / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metrics"]["test/loss"] is None
    assert "test/loss nan" in done.out


def test_timing_has_a_row_for_every_epoch(train):
    done = train("trainer.check_val_every_n_epoch=2", "trainer.max_epochs=3", "trainer.num_sanity_val_steps=1")
    assert done.code == 0, done.err
    timing = pd.read_csv(done.directory / "timing.csv")
    assert timing["epoch"].tolist() == [0, 1, 2]
    assert results(done.directory)["seconds"] == pytest.approx(timing["seconds"].sum())


def test_a_short_climb_of_one_cycle(train):
    assert train("scheduler.warmup=0.1", "trainer.max_epochs=2").code == 0  # a climb of exactly one of ten steps


def test_weighted_without_a_density_that_fits_warns(train):
    with pytest.warns(UserWarning, match="stays standard"):
        train("conv=weighted", "conv.density.k3=null", "debug=fast")


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
    content = results(done.directory)
    assert set(content["metrics"]) == {"test/acc", "test/loss", "val/acc", "val/loss"}
    assert content["steps"] == 2 * (36 // 8)


def test_validation_images_of_the_data_set_and_held_out_ones_exclude_each_other(train, folder_of_classes):
    shutil.copytree(folder_of_classes / "test", folder_of_classes / "val")
    done = train("datamodule=class_folder", f"paths.data_dir={folder_of_classes}", "datamodule.val_size=4")
    assert done.code == 2
    assert "datamodule.val_dir=null" in done.err


def test_one_class_is_none(train, folder_of_classes):
    for part in ("train", "test"):
        shutil.rmtree(folder_of_classes / part / "élan")
    done = train("datamodule=class_folder", f"paths.data_dir={folder_of_classes}")
    assert done.code == 2
    assert "one class only (chat)" in done.err


def test_a_failing_run_says_so(train, monkeypatch):
    def fail(*_):
        raise RuntimeError("the roof is on fire")

    monkeypatch.setattr(Classification, "training_step", fail)
    done = train()
    assert done.code == 1
    assert "RuntimeError: the roof is on fire" in done.err
    assert "Traceback" not in done.err


def test_a_failed_run_keeps_its_traceback_and_can_be_run_again(train, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "training_step", lambda *_: 1 / 0)
        assert train().code == 1
    directory = next((tmp_path / "runs").glob("classification/*"))
    assert "ZeroDivisionError" in (directory / "error.log").read_text()
    assert results(directory)["status"] == "failed"
    assert train().code == 0
    assert not (directory / "error.log").exists()


def test_a_grid_runs_all_and_ends_with_the_worst_code(train, tmp_path):
    done = train("-m", "conv=standard,weighted", "datamodule.train_subset=100,1000")
    assert done.code == 2
    assert "1000" in done.err
    assert len(list((tmp_path / "runs").glob("classification/*/results.json"))) == 2
    assert not list(ROOT.glob("multirun*"))


def test_a_run_that_another_process_holds_is_left_alone(train):
    directory = train().directory
    (directory / "results.json").unlink()
    (directory / ".lock.owner").write_text("process 1234 on elsewhere")
    with FileLock(directory / ".lock"):
        done = train()
    assert done.code == 75
    assert "process 1234 on elsewhere" in done.err


def test_a_folder_of_another_run_is_refused(train):
    directory = train().directory
    content = results(directory)
    (directory / "results.json").write_text(json.dumps(content | {"config_hash": "0" * 64}))
    done = train()
    assert done.code == 2
    assert "another run" in done.err


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
    layers = {layer["name"]: layer for layer in results(done.directory)["layers"]}
    assert all(layer["trainable"] for layer in layers.values())
    best = int(results(done.directory)["best_epoch"])
    for name, layer in layers.items():
        logged = history[f"density/{name}/0"]
        assert logged[0] != pytest.approx(0.7, abs=1e-4)
        assert layer["density"][0] == layer["density"][1] == [pytest.approx(logged[best], rel=1e-6)]
    standard = pd.read_csv(train("conv=standard").directory / "metrics.csv")
    assert history["lr"].dropna().tolist() == pytest.approx(standard["lr"].dropna().tolist(), rel=1e-6)


def test_one_density_can_be_shared(train):
    layers = results(train("conv=trainable", "conv.share=true").directory)["layers"]
    assert len({layer["density"][0][0] for layer in layers}) == 1


def test_a_density_no_layer_has_warns_only_if_asked_for(train):
    with pytest.warns(UserWarning, match="kernel size 5"):
        train("conv=weighted", "conv.density.k5=[0.2,0.8]", "debug=fast")


def test_the_real_command_survives_sigterm(tmp_path):
    """The whole program: plain lines in a file, exit code 75, then on to the end and the folder as the last line."""
    command = [
        sys.executable,
        str(ROOT / "train.py"),
        "experiment=quickstart",
        "datamodule.train_images=2000",
        "datamodule.test_images=100",
        "trainer.max_epochs=3",
        f"paths.output_dir={tmp_path}",
    ]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        deadline = time.monotonic() + 120
        while "epoch 1/3" not in (tmp_path / "log").read_text():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 75, err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    directory = Path(done.stdout.splitlines()[-1])
    assert results(directory)["status"] == "completed"
    shutil.rmtree(directory)
