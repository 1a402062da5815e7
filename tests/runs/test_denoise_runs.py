"""Denoisers through train.py from end to end, on drawn images."""

import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from tests.tiny import DENOISER, SYNTHETIC_KEYS, CommandResult, command_line
from wconv.experiment.tasks.denoising import Denoising

ROOT = Path(__file__).resolve().parents[2]
# NAFNet halves 16x16 patches once.
OF_MODEL = {
    "dncnn": {"model.depth": "3"},
    "nafnet": {"model.encoder": "[1]", "model.middle": "0", "model.decoder": "[1]"},
}


def arguments(output_dir: Path, *options: str) -> list[str]:
    """Return the command line of a tiny run with more options."""
    chosen = dict(option.split("=", 1) for option in options)
    tiny = {key: value for key, value in DENOISER.items() if key != "model.depth"}
    tiny |= OF_MODEL[chosen.get("model", "dncnn")]
    if "datamodule" in chosen:
        tiny = {key: value for key, value in tiny.items() if key not in SYNTHETIC_KEYS}
    return command_line({"paths.output_dir": str(output_dir)} | tiny, *options)


@pytest.fixture
def denoise(launch, tmp_path):
    """Call train.py on a tiny run with more options; runs land in tmp_path / "runs"."""
    return lambda *options: launch(*arguments(tmp_path / "runs", *options))


def weights(directory: Path, name: str = "last") -> dict:
    return torch.load(directory / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


@pytest.mark.parametrize(("model", "channels"), [("dncnn", 1), ("nafnet", 3)])
def test_a_run_leaves_what_the_design_promises(model, channels, denoise):
    done = denoise(f"model={model}", "conv=weighted", "seed=3", f"datamodule.channels={channels}")
    assert done.code == 0, done.err
    directory, content = done.directory, done.results
    assert directory.name == f"{model}-weighted-s3-{content['config_hash'][:8]}"
    assert directory.parent.name == "denoising"
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files >= {"config.yaml", "results.json", "metrics.csv", "timing.csv", "images.csv", "images/curves.png"}
    assert files >= {"checkpoints/best.ckpt", "checkpoints/last.ckpt"}
    assert not {file for file in files if "error" in file or "part" in file}

    assert (content["status"], content["task"], content["init"]) == ("completed", "denoising", "pytorch")
    assert content["metrics"].keys() >= {"test/psnr", "test/ssim", "test/noisy_psnr", "val/psnr"}
    assert content["metric_definitions"].keys() >= {"psnr", "ssim", "noisy_psnr", "noise", "selection", "macs"}
    assert (content["epochs"], content["steps"]) == (2, 2 * 64 // 16)
    assert content["parameters"] == sum(
        value.numel()
        for name, value in weights(directory).items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")) and "density" not in name
    )
    if model == "dncnn":
        # Three convolutions of 3x3 kernels at every pixel: 1 -> 4 -> 4 -> 1 features.
        assert content["macs"] == 256 * 256 * 9 * (4 + 16 + 4)
    assert {tuple(map(tuple, layer["density"])) for layer in content["layers"] if layer["density"]} == {
        ((0.7,), (0.7,))
    }

    history = pd.read_csv(directory / "metrics.csv")
    assert history["epoch"].tolist() == [0, 1, 2]  # two epochs and the test
    assert history["val/psnr"].count() == history["train/loss"].count() == history["lr"].count() == 2
    assert content["metrics"]["val/psnr"] == pytest.approx(history["val/psnr"].max(), rel=1e-6)
    assert content["best_epoch"] == int(history["val/psnr"].idxmax())

    rows = pd.read_csv(directory / "images.csv")
    assert rows["image"].tolist() == [f"test{position:04d}" for position in range(10)]
    assert rows["position"].tolist() == list(range(10))
    assert set(rows["set"]) == {"dead_leaves"}
    for name in ("psnr", "ssim", "noisy_psnr"):
        assert content["metrics"][f"test/{name}"] == pytest.approx(rows[name].mean(), rel=1e-6)
    assert content["metrics"]["test/noisy_psnr"] == pytest.approx(20 * math.log10(255 / 25), abs=0.1)

    panels = sorted(path for path in (directory / "images").glob("*.png") if path.name != "curves.png")
    assert len(panels) == 8
    for path in panels:
        with Image.open(path) as panel:
            assert panel.width == 4 * 48 + 3 * 4
            assert 48 + 20 < panel.height < 48 + 60


def test_all_arms_start_from_the_same_weights_and_meet_the_same_noise(denoise):
    """With a step too small to move them, the last weights are the first ones."""
    frozen = ["optimizer.lr=1e-30", "trainer.max_epochs=1", "datamodule.test_images=3"]
    arms = {arm: [f"conv={arm}"] for arm in ("standard", "weighted", "scaled_init")}
    arms["trainable"] = ["conv=trainable", "conv.lr=1e-30"]
    runs = {arm: denoise(*options, *frozen).directory for arm, options in arms.items()}
    first = {arm: weights(directory)["model.dncnn.0.weight"] for arm, directory in runs.items() if arm != "trainable"}
    assert torch.equal(first["standard"], first["weighted"])
    phi = torch.tensor([[0.49, 0.7, 0.49], [0.7, 1, 0.7], [0.49, 0.7, 0.49]])
    assert torch.equal(first["scaled_init"], first["standard"] * phi)
    tables = {arm: pd.read_csv(directory / "images.csv") for arm, directory in runs.items()}
    assert all(table["noisy_psnr"].equals(tables["standard"]["noisy_psnr"]) for table in tables.values())
    # Three names for one and the same network, as long as nothing is trained.
    assert tables["weighted"]["psnr"].tolist() == pytest.approx(tables["scaled_init"]["psnr"].tolist(), abs=1e-4)
    assert tables["weighted"]["psnr"].tolist() == pytest.approx(tables["trainable"]["psnr"].tolist(), abs=1e-4)
    assert abs(tables["weighted"]["psnr"] - tables["standard"]["psnr"]).min() > 1e-3


@pytest.mark.parametrize("options", [("conv=trainable", "task.sigma=[0,55]"), ("model=nafnet",)], ids=str)
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(options, denoise, tmp_path):
    """Stopped in the middle of the third of three epochs."""
    options = (*options, "trainer.max_epochs=3", "datamodule.test_images=2")
    undisturbed = denoise(*options)
    assert undisturbed.code == 0, undisturbed.err
    original = Denoising.training_step

    def stop_in_the_third(self, batch, batch_idx):
        if (self.current_epoch, batch_idx) == (2, 2):
            raise KeyboardInterrupt
        return original(self, batch, batch_idx)

    elsewhere = (*options, f"paths.output_dir={tmp_path / 'other'}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Denoising, "training_step", stop_in_the_third)
        assert denoise(*elsewhere).code == 75
    resumed = denoise(*elsewhere)
    assert resumed.code == 0, resumed.err
    assert "resuming from step 8" in resumed.out
    assert resumed.directory.name == undisturbed.directory.name
    for name in ("metrics.csv", "images.csv"):
        assert (resumed.directory / name).read_bytes() == (undisturbed.directory / name).read_bytes()
    assert resumed.results["metrics"] == undisturbed.results["metrics"]
    one, two = weights(resumed.directory), weights(undisturbed.directory)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_the_same_command_again_returns_the_result(denoise, monkeypatch):
    first = denoise("trainer.max_epochs=1")
    made = {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")}
    monkeypatch.setattr(Denoising, "training_step", None)
    again = denoise("trainer.max_epochs=1")
    assert again.code == 0, again.err
    assert "completed before" in again.out
    assert again.directory == first.directory
    assert {path: path.stat().st_mtime_ns for path in first.directory.rglob("*")} == made


def test_what_changes_the_noise_is_another_run(denoise):
    options = [(), ("task.sigma=[0,50]", "seed=1"), ("task.test_seed=1",), ("task.clip_noisy=true",)]
    runs = [denoise(*option, "trainer.max_epochs=1", "datamodule.test_images=1") for option in options]
    assert len({run.directory.name for run in runs}) == len(runs)
    losses = [pd.read_csv(run.directory / "metrics.csv")["train/loss"][0] for run in runs]
    assert losses[0] == losses[2]  # the seed of the test noise is not that of the training
    assert len(set(losses)) == len(losses) - 1
    noisy = [run.results["metrics"]["test/noisy_psnr"] for run in runs]
    assert noisy[0] == noisy[1]  # the middle of the range is the same level, and the test noise the same in every run
    assert len(set(noisy)) == len(noisy) - 1
    assert "deviation 25 of 255" in runs[1].results["metric_definitions"]["noise"]


@pytest.mark.parametrize("options", [("optimizer.lr=1e30",), ("model=nafnet", "optimizer.lr=1e30")], ids=str)
def test_a_diverged_run_ends_at_once(options, denoise):
    done = denoise(*options)
    assert done.code == 1
    assert "the loss is NaN or infinite at step 2; no checkpoint was made before it" in done.err


def test_an_image_that_came_out_as_no_number_does_not_vanish_from_the_mean(denoise, monkeypatch):
    """The losses are numbers; what the test makes of an image is not."""
    original = Denoising.test_step

    def test_step(self, frame, batch_idx):
        shown = original(self, frame, batch_idx)
        if batch_idx == 1:
            self.rows[-1]["psnr"] = math.nan
        return shown

    monkeypatch.setattr(Denoising, "test_step", test_step)
    done = denoise()
    assert done.code == 0, done.err
    assert done.results["metrics"]["test/psnr"] is None
    assert "test/psnr nan" in done.out
    assert len(pd.read_csv(done.directory / "images.csv")) == 10


REFUSED = [
    (
        "task.sigma=-1",
        "task.sigma=-1: expected a standard deviation from 0 (on the scale of 0 to 255), or a range [low, high]",
    ),
    ("task.sigma=[50,10]", "or a range [low, high]"),
    ("task.sigma=abc", "task.sigma=abc: expected"),
    ("task.sigma=nan", "task.sigma=nan: expected"),
    ("task.sigma=null", "task.sigma=None: expected"),
    ("task.loss=huber", "one of l1, l2, charbonnier, psnr"),
    ("task.clip_noisy=1", "expected true or false"),
    ("task.seed=3", "follows from seed"),
    ("datamodule.channels=2", "expected 3 for colour or 1 for grey"),
    ("task=classification", "model=dncnn does not go with task=classification"),
]


@pytest.mark.parametrize(("option", "message"), REFUSED, ids=[option for option, _ in REFUSED])
def test_refused_in_one_line_with_nothing_made(option, message, denoise, tmp_path):
    done = denoise(option)
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model=dncnn datamodule=cifar100", "choose datamodule=div2k, image_folder or synthetic_images"),
        ("model=nafnet datamodule=synthetic_classes", "choose datamodule=div2k, image_folder or synthetic_images"),
        ("model=vgg datamodule=synthetic_images", "choose datamodule=cifar100, class_folder or synthetic_classes"),
        ("model=vgg task=denoising", "model=vgg does not go with task=denoising"),
        ("model=vgg task=denoising datamodule=div2k", "drop task="),
    ],
)
def test_what_does_not_go_together_is_refused(line, message, launch, tmp_path):
    done = launch(*line.split(), f"paths.output_dir={tmp_path}")
    assert done.code == 2
    assert message in done.err
    assert done.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def draw(folder: Path, count: int, size: tuple[int, int] = (40, 32)) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        Image.linear_gradient("L").convert("RGB").resize(size).rotate(90 * number).save(folder / f"{number}.png")


def test_relative_folders_are_below_the_current_one(denoise, tmp_path, monkeypatch):
    draw(tmp_path / "photos", 5)
    draw(tmp_path / "tests" / "one", 1, (50, 20))
    draw(tmp_path / "tests" / "two, it is çà", 2, (20, 50))
    monkeypatch.chdir(tmp_path)
    folders = ("datamodule.train_dir=photos", "datamodule.store_dir=stores")
    done = denoise("datamodule=image_folder", *folders, "datamodule.test_dirs=[tests/one, 'tests/two, it is çà']")
    assert done.code == 0, done.err
    assert (tmp_path / "stores").is_dir()
    rows = pd.read_csv(done.directory / "images.csv")
    assert rows[["set", "image"]].to_numpy().tolist() == [
        ["one", "0.png"],
        ["two, it is çà", "0.png"],
        ["two, it is çà", "1.png"],
    ]
    metrics = done.results["metrics"]
    assert metrics["test/two, it is çà/psnr"] == pytest.approx(rows["psnr"][1:].mean(), rel=1e-6)
    assert metrics["test/psnr"] == pytest.approx(rows["psnr"].mean(), rel=1e-6)


@pytest.mark.faults
def test_two_processes_measure_every_image_once(tmp_path):
    """A program of its own, because Lightning starts the second process with the same command line."""
    options = ("trainer.devices=2", "trainer.strategy=ddp", "datamodule.test_images=5", "datamodule.val_size=3")
    command = [sys.executable, str(ROOT / "train.py"), *arguments(tmp_path, *options)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    outcome = CommandResult(0, done.stdout, done.stderr)
    rows = pd.read_csv(outcome.directory / "images.csv")
    assert rows["position"].tolist() == [0, 1, 2, 3, 4]
    assert outcome.results["metrics"]["test/psnr"] == pytest.approx(rows["psnr"].mean(), rel=1e-6)
    assert outcome.results["steps"] == 2 * 64 // 16
    panels = {path.stem for path in (outcome.directory / "images").glob("dead_leaves-*.png")}
    assert panels == {f"dead_leaves-test{position:04d}" for position in range(5)}
