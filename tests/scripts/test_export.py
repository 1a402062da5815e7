"""scripts/export.py: what other programs compute from the file is what the run computes; or there is no file."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import scripts.export
from models.dncnn import DnCNN
from tests.tiny import SMALL_DENOISER, CommandResult, command_line
from wconv.experiment.inference import export as exporting
from wconv.experiment.inference.load import load_denoiser, load_network

SMALL_CLASSIFIER = ("datamodule.train_images=60", "datamodule.test_images=30", "trainer.max_epochs=1")
SMALL_NAFNET = command_line(
    {key: value for key, value in SMALL_DENOISER.items() if not key.startswith("model")},
    "model=nafnet",
    "model.width=2",
    "model.encoder=[1]",
    "model.middle=0",
    "model.decoder=[1]",
)
RUNS = {
    "dncnn": [*command_line(SMALL_DENOISER), "conv=weighted"],
    "nafnet": [*SMALL_NAFNET, "conv=trainable"],
    "vgg": [*SMALL_CLASSIFIER, "conv=weighted"],
    "resnet": [*SMALL_CLASSIFIER, "model=resnet", "model.depth=20", "model.width=0.2", "conv=trainable"],
}
SIZES = [(1, 32, 32), (3, 45, 64), (2, 33, 130)]
FORMATS = ["onnx", "safetensors", "pt2"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    return tmp_path_factory.mktemp("trained")


@pytest.fixture
def runs(kept, train, tmp_path):
    """Return a function that returns a run; each is trained once, and copied for a test."""

    def run(name: str) -> Path:
        if not (kept / name).exists():
            done = train(*RUNS[name])
            assert done.code == 0, done.err
            shutil.copytree(done.directory, kept / name)
        return shutil.copytree(kept / name, tmp_path / name)

    return run


@pytest.fixture
def export(run_main):
    """Call the command, and return its exit code, stdout and stderr."""
    return partial(run_main, scripts.export.main)


def refused(done: CommandResult) -> str:
    assert done.err.startswith("export: ")
    return done.refusal()


def read(file: Path, plain: nn.Module):
    """Return the network in a file as somebody else reads it."""
    if file.suffix == ".onnx":
        onnx = pytest.importorskip("onnx")
        onnx.checker.check_model(str(file), full_check=True)
        session = pytest.importorskip("onnxruntime").InferenceSession(file, providers=["CPUExecutionProvider"])
        assert [entry.name for entry in (*session.get_inputs(), *session.get_outputs())] == ["images", "output"]
        return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    if file.suffix == ".pt2":
        return torch.export.load(file).module()
    plain.load_state_dict(pytest.importorskip("safetensors.torch").load_file(file))
    return plain.eval()


def plain_network(run: Path) -> nn.Module:
    """Return a network of the run without weights, as somebody makes it who knows the model alone."""
    from hydra.utils import get_class

    config = yaml.safe_load((run / "config.yaml").read_text())
    group = {key: value for key, value in config["model"].items() if key not in ("name", "_target_", "checkpoint")}
    data = {"channels": 1} if config["task"]["name"] == "denoising" else {"num_classes": 20, "in_channels": 3}
    return get_class(config["model"]["_target_"])(**group, **data)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", RUNS)
def test_the_file_computes_what_the_run_computes(name, form, runs, export, tmp_path):
    run, file = runs(name), tmp_path / "new" / f"network.{form}"
    code, out, err = export(run, "-o", file)
    if (name, form) == ("vgg", "pt2") and torch.__version__ < "2.13":  # its pooling ties a program to traced sizes
        assert code == 2
        assert f"{file} cannot be written" in err
        return
    assert (code, err) == (0, "")
    assert out.startswith(f"{file}: computes what the run does (largest difference: ")
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    trained, network = load_network(run), read(file, plain_network(run))
    for count, height, width in SIZES:
        images = torch.rand(count, trained.channels, height, width)
        with torch.no_grad():
            expected, found = trained.model(images), network(images)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_the_network_is_the_one_that_was_trained(name, runs):
    run = runs(name)
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    trained = load_network(run)
    assert all(torch.equal(value, state[f"model.{key}"]) for key, value in trained.model.state_dict().items())
    assert any("Weighted" in type(layer).__name__ for layer in trained.model.modules())
    if name in ("vgg", "resnet"):
        assert trained.arguments == {"num_classes": 20, "in_channels": 3}
    else:
        image = torch.rand(1, 1, 20, 20)
        with torch.no_grad():
            assert torch.equal(trained.model(image), load_denoiser(run).model.cpu()(image))


def test_what_safetensors_says_of_itself_is_enough_to_make_the_network(runs, export, tmp_path):
    safetensors = pytest.importorskip("safetensors")
    assert export(runs("dncnn"), "-o", tmp_path / "net.safetensors")[0] == 0
    with safetensors.safe_open(tmp_path / "net.safetensors", "pt") as file:
        arguments = json.loads(file.metadata()["model"])
    assert arguments.pop("name") == "dncnn"
    assert DnCNN(**arguments).load_state_dict(safetensors.torch.load_file(tmp_path / "net.safetensors"))


def test_what_was_written_is_read_by_evaluate(runs, export, tmp_path):
    from wconv.experiment.inference.load import load_checkpoint

    run = runs("dncnn")
    assert export(run, "-o", tmp_path / "net.safetensors")[0] == 0
    image = torch.rand(1, 1, 20, 20)
    with torch.no_grad():
        found = load_checkpoint(tmp_path / "net.safetensors").model.cpu()(image)
        torch.testing.assert_close(found, load_network(run).model(image))


def test_a_file_that_would_compute_something_else_is_not_written(runs, export, tmp_path, monkeypatch):
    run = runs("dncnn")

    def scaled(model: nn.Module) -> nn.Module:
        """Forget the densities, as a program does that reads `conv.weight`."""
        plain = plain_network(run)
        plain.load_state_dict(model.state_dict())
        return plain.eval()

    monkeypatch.setattr(exporting, "plain_copy", scaled)
    (tmp_path / "net.pt2").write_text("what was there")
    for form in FORMATS:
        assert "its outputs would differ from those of the run" in refused(export(run, "-o", tmp_path / f"net.{form}"))
    assert (tmp_path / "net.pt2").read_text() == "what was there"
    assert not (tmp_path / "net.onnx").exists()


def test_a_network_that_returns_nan_is_not_written(runs, export, tmp_path):
    run = runs("dncnn")
    path = run / "checkpoints" / "best.ckpt"
    content = torch.load(path, weights_only=True)
    content["state_dict"]["model.dncnn.0.weight"] *= np.nan
    torch.save(content, path)
    path.with_name("best.ckpt.sha256").unlink(missing_ok=True)
    assert "would differ" in refused(export(run, "-o", tmp_path / "net.safetensors"))


def test_what_cannot_be_exported_is_refused(runs, export, tmp_path, monkeypatch):
    run = runs("vgg")
    assert "ends in .onnx, .safetensors, .pt2" in refused(export(run, "-o", tmp_path / "net.pth"))
    assert "is no folder" in refused(export(tmp_path / "none", "-o", tmp_path / "net.pt2"))
    (tmp_path / "file").write_text("")
    assert "file" in refused(export(run, "-o", tmp_path / "file" / "net.safetensors"))
    monkeypatch.setattr(exporting.importlib.util, "find_spec", lambda name: None)
    err = refused(export(run, "-o", tmp_path / "net.onnx"))
    assert "onnx, onnxscript, onnxruntime is missing; pip install onnx onnxscript onnxruntime" in err
    assert "pip install safetensors" in refused(export(run, "-o", tmp_path / "net.safetensors"))
    shutil.rmtree(run / "checkpoints")
    assert "holds no checkpoint" in refused(export(run, "-o", tmp_path / "net.pt2"))


@pytest.mark.parametrize("group", ["model", "datamodule", "task", "conv"])
def test_a_run_from_elsewhere_calls_nothing(group, runs, export, tmp_path):
    run = runs("vgg")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[group]["more"] = [{"_target_": "os.system", "command": f"touch {tmp_path / 'attacked'}"}]
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "names os.system" in refused(export(run, "-o", tmp_path / "net.pt2"))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("values", [{"width": 4096.0}, {"depth": 12}, {"batch_norm": False}, {"head": "mlp"}], ids=str)
def test_a_classifier_that_its_checkpoint_does_not_fill(values, runs, export, tmp_path):
    run = runs("vgg")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] |= values
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "does not hold the network" in refused(export(run, "-o", tmp_path / "net.pt2"))
