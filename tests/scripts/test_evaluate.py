"""scripts/evaluate.py: the numbers of the training again, other noise, other images, and what it refuses."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import scripts.evaluate
from models.dncnn import DnCNN
from tests.tiny import SMALL_DENOISER, CommandResult, command_line
from wconv.experiment.tasks.denoising import Denoising, psnr, ssim


@pytest.fixture
def evaluate(run_main):
    """Call the command, and return its exit code, stdout and stderr."""
    return partial(run_main, scripts.evaluate.main)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def run(kept, train, tmp_path):
    """Return a trained run that the test may damage; it is trained once."""
    if not kept.exists():
        shutil.copytree(train(*command_line(SMALL_DENOISER)).directory, kept)
    return shutil.copytree(kept, tmp_path / "run")


def recorded(run: Path) -> dict:
    return json.loads((run / "evaluation.json").read_text(), parse_constant=pytest.fail)


def refused(done: CommandResult) -> str:
    assert done.err.startswith("evaluate: ")
    return done.refusal()


def table(out: str) -> list[list[str]]:
    lines = [line for line in out.splitlines() if line.startswith("|")]
    return [[entry.strip() for entry in line.strip("|").split("|")] for line in lines[2:]]


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def draw(folder: Path, mode: str, count: int = 2) -> Path:
    folder.mkdir(parents=True)
    bands = len(Image.new(mode, (1, 1)).getbands())
    for number in range(count):
        values = np.random.default_rng(number).integers(0, 256, (20, 24 + number, bands), dtype=np.uint8)
        Image.frombytes(mode, (24 + number, 20), values.tobytes()).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize(
    "options",
    [
        ("conv=standard",),
        ("conv=weighted", "model.batch_norm=false", "datamodule.channels=3"),
        ("conv=trainable", "conv.lr=0.1", "task.sigma=[0,55]", "task.clip_noisy=true"),
        ("conv=scaled_init", "task.test_seed=5", "trainer.precision=bf16-mixed"),
        ("conv=ablation", "conv.step=true", "optimizer.weight_decay=0.1"),
    ],
    ids=lambda options: options[0],
)
def test_a_run_gives_the_numbers_of_its_training(options, train, evaluate):
    done = train(*command_line(SMALL_DENOISER, *options))
    assert done.code == 0, done.err
    before = state(done.directory)
    code, out, err = evaluate(done.directory)
    assert (code, err) == (0, "")
    trained = json.loads((done.directory / "results.json").read_text())["metrics"]
    sigma = "sigma27.5" if "task.sigma=[0,55]" in options else "sigma25"
    assert recorded(done.directory) == {
        "dead_leaves": {
            sigma: {name: trained[f"test/{name}"] for name in ("psnr", "ssim", "noisy_psnr")}
            | {"images": 3, "tiled": False, "precision": "bf16-mixed" if "task.test_seed=5" in options else "32-true"}
        }
    }
    assert f"{trained['test/psnr']:.2f}" in out
    # Nothing else was written, or touched.
    after = state(done.directory)
    assert after.pop("evaluation.json")
    assert after == before


def test_fast_is_bfloat16_whatever_the_training_was(run, evaluate):
    assert evaluate(run)[0] == 0
    exact = recorded(run)["dead_leaves"]["sigma25"]
    assert evaluate(run, "--fast")[0] == 0
    fast = recorded(run)["dead_leaves"]["sigma25"]
    assert (exact.pop("precision"), fast.pop("precision")) == ("32-true", "bf16-mixed")
    assert fast["psnr"] != exact["psnr"]
    assert fast == pytest.approx(exact, abs=0.02)


def test_other_images_and_other_noise(run, evaluate, tmp_path, monkeypatch):
    one, two = draw(tmp_path / "one", "L"), draw(tmp_path / "deep" / "two", "L", 1)
    evaluate(run)
    first = recorded(run)
    monkeypatch.chdir(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    code, out, err = evaluate(run, "--data", "one", two, "--sigma", 0, 15, 15, "17.5")
    assert (code, err) == (0, "")
    content = recorded(run)
    assert content["dead_leaves"] == first["dead_leaves"]  # what was there stays
    assert set(content) == {"dead_leaves", "one", "two"}
    assert set(content["one"]) == {"sigma0", "sigma15", "sigma17.5"}
    assert {level["images"] for level in content["one"].values()} == {2}
    assert {level["images"] for level in content["two"].values()} == {1}
    assert content["one"]["sigma0"]["noisy_psnr"] == "inf"
    assert content["one"]["sigma15"]["noisy_psnr"] == pytest.approx(20 * np.log10(255 / 15), abs=0.4)
    assert content["one"]["sigma15"]["psnr"] > content["one"]["sigma17.5"]["psnr"]
    assert [row[:3] for row in table(out)] == [
        [name, sigma, images] for sigma in ("0", "15", "17.5") for name, images in (("one", "2"), ("two", "1"))
    ]
    assert sorted(path for path in tmp_path.rglob("*")) == before
    assert one.exists()


def test_a_level_is_measured_anew_and_replaced(run, evaluate):
    (run / "evaluation.json").write_text('{"dead_leaves": {"sigma25": {"psnr": 1}, "sigma50": {"psnr": 2}}, "x": {}}')
    assert evaluate(run)[0] == 0
    content = recorded(run)
    assert content["dead_leaves"]["sigma25"]["psnr"] > 10
    assert content["dead_leaves"]["sigma50"] == {"psnr": 2}
    assert content["x"] == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "3", "null", '{"dead_leaves": []}', '{"dead_leaves": {"sigma25": 3}}', "\xff"]
)
def test_a_damaged_evaluation_is_written_anew(run, evaluate, text):
    (run / "evaluation.json").write_text(text, encoding="latin-1")
    assert evaluate(run)[0] == 0
    assert recorded(run)["dead_leaves"]["sigma25"]["images"] == 3


@pytest.mark.parametrize(
    ("channels", "mode", "words"), [(1, "RGB", "are colour and made grey"), (3, "L", "are grey and made colour")]
)
def test_images_of_the_other_kind_are_converted_and_that_is_said(channels, mode, words, evaluate, tmp_path):
    torch.save(DnCNN(channels, 3, 4).state_dict(), tmp_path / "weights.pth")
    folder = draw(tmp_path / "images", mode)
    with pytest.warns(UserWarning, match=f"2 of 2 images {words}"):
        code, out, _ = evaluate("--checkpoint", tmp_path / "weights.pth", "--data", folder)
    assert code == 0
    assert "| images |" in out


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_of_weights_is_measured_as_its_port_computes(prefix, evaluate, tmp_path):
    torch.manual_seed(0)
    model = DnCNN(1, 4, 4)
    torch.save({prefix + name: value for name, value in model.state_dict().items()}, tmp_path / "net.pth")
    folder = draw(tmp_path / "set", "L", 1)
    before = state(tmp_path)
    code, out, err = evaluate("--checkpoint", tmp_path / "net.pth", "--data", folder, "--sigma", 50)
    assert (code, err) == (0, "")
    clean = torch.from_numpy(np.asarray(Image.open(folder / "0.png")).astype(np.float32) / 255)[None, None]
    task = Denoising(model.eval(), None, None, 0, 50, False, "l2", test_seed=0, max_pixels=10**6)
    noisy = task.noise.add_test_noise(clean, 0, 0)
    with torch.inference_mode():
        denoised = (noisy - model.dncnn(noisy)).clamp(0, 1)
    (row,) = table(out)
    assert row == [
        "set",
        "50",
        "1",
        f"{psnr(noisy, clean):.2f}",
        f"{psnr(denoised, clean):.2f}",
        f"{ssim(denoised, clean):.4f}",
    ]
    assert state(tmp_path) == before


def test_what_was_recognised_is_printed(evaluate, tmp_path):
    layers = {
        f"model.{2 * n}.{leaf}": torch.zeros(4 if n < 2 else 1, *rest)
        for n in range(3)
        for leaf, rest in (("weight", (4 if n else 1, 3, 3)), ("bias", ()))
    }
    torch.save({"params": layers}, tmp_path / "net.pth")
    code, out, err = evaluate("--checkpoint", tmp_path / "net.pth", "--data", draw(tmp_path / "set", "L"))
    assert (code, err) == (0, "")
    line = out.splitlines()[0]
    assert line.startswith(
        f"{tmp_path / 'net.pth'}: DnCNN of channels 1, depth 3, width 4, kernel size 3, no batch norm"
    )
    assert line.endswith("found as the weights from model.0.weight on, under params")
    assert [row[:3] for row in table(out)] == [["set", "25", "2"]]


@pytest.mark.parametrize("conv", ["standard", "weighted", "trainable"])
@pytest.mark.parametrize("data", ["its own", "others"])
def test_the_checkpoint_of_a_run_is_evaluated_as_the_run(conv, data, train, evaluate, tmp_path, monkeypatch):
    run = train(*command_line(SMALL_DENOISER, f"conv={conv}", "task.sigma=15")).directory
    more = ["--data", draw(tmp_path / "set", "L")] if data == "others" else []
    _, expected, _ = evaluate(run, *more)
    monkeypatch.chdir(run / "checkpoints")
    code, out, err = evaluate("--checkpoint", "best.ckpt", *more)
    assert (code, err) == (0, "")
    assert table(out) == table(expected)
    assert out.splitlines()[0] == f"best.ckpt: dncnn, {conv}, as the run in {run} trained it"


def test_the_checkpoint_of_a_run_that_was_taken_out_of_it_is_refused(run, evaluate, tmp_path):
    """Nothing in it says whether densities multiply its weights."""
    shutil.copy(run / "checkpoints" / "best.ckpt", tmp_path)
    err = refused(evaluate("--checkpoint", tmp_path / "best.ckpt", "--data", draw(tmp_path / "set", "L")))
    assert "name the folder of the run" in err


def test_approximate_tiles_are_said(run, evaluate, monkeypatch):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["task"]["max_pixels"] = 400
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "tiles" not in evaluate(run)[1]  # of a DnCNN, they are exact
    monkeypatch.setattr(DnCNN, "context", None)
    assert "denoised in tiles, which for this model is an approximation" in evaluate(run)[1]
    assert recorded(run)["dead_leaves"]["sigma25"]["tiled"] is True


def test_what_cannot_be_evaluated_is_refused(run, evaluate, train, tmp_path):
    folder = draw(tmp_path / "images", "L")
    (tmp_path / "empty").mkdir()
    (folder.parent / "text.pth").write_text("no weights")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    torch.save({"conv.weight": torch.ones(1)}, tmp_path / "other.pth")
    before = state(run)
    assert "name either" in refused(evaluate())
    assert "name either" in refused(evaluate(run, "--checkpoint", tmp_path / "text.pth"))
    assert "--data" in refused(evaluate("--checkpoint", tmp_path / "text.pth"))
    for name, words in (
        ("text", "cannot be read"),
        ("none", "cannot be read"),
        ("list", "holds a list"),
        ("other", "conv.weight"),
    ):
        err = refused(evaluate("--checkpoint", tmp_path / f"{name}.pth", "--data", folder))
        assert f"{name}.pth" in err
        assert words in err
    for sigma in ("-1", "nan", "inf"):
        assert f"--sigma {sigma}" in refused(evaluate(run, "--sigma", 25, sigma))
    for missing in ("nothing", "empty"):
        err = refused(evaluate(run, "--data", folder, tmp_path / missing))
        assert str(tmp_path / missing) in err
        assert "--data" in err
    (folder / "broken.png").write_text("no picture")
    assert "broken.png cannot be read" in evaluate(run, "--data", folder)[2]
    assert state(run) == before
    other = train("trainer.max_epochs=1").directory
    assert "task=classification" in refused(evaluate(other))
    shutil.rmtree(run / "checkpoints")
    assert "holds no checkpoint" in refused(evaluate(run))
    (run / "config.yaml").unlink()
    assert "holds no config.yaml" in refused(evaluate(run))


@pytest.mark.parametrize("group", ["model", "datamodule", "task"])
def test_a_run_from_elsewhere_calls_nothing(group, run, evaluate, tmp_path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[group]["more"] = [{"_target_": "os.system", "command": f"touch {tmp_path / 'attacked'}"}]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    before = state(run)
    assert "names os.system" in refused(evaluate(run))
    assert not (tmp_path / "attacked").exists()
    assert state(run) == before


def test_data_that_has_moved_is_named_by_the_option_that_helps(run, evaluate, monkeypatch):
    def gone(self):
        raise ValueError("the test folder data/set12 does not exist; point datamodule.test_dirs at it")

    monkeypatch.setattr("datamodules.synthetic_images.SyntheticImages.read_test", gone)
    assert refused(evaluate(run)) == (
        "evaluate: the test folder data/set12 does not exist; name the test images with --data FOLDER\n"
    )
