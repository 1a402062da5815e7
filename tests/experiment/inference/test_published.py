"""Files of weights that people have: the same network, however they are packed; and nothing is made of an attack."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.dncnn import DnCNN
from models.nafnet import NAFNet
from models.resnet import ResNet
from wconv.experiment.common.exceptions import ConfigError
from wconv.experiment.inference.load import load_checkpoint

SETTINGS = {"lr": 1e-4, "name": "dncnn"}


def dncnn() -> DnCNN:
    torch.manual_seed(0)
    return DnCNN(1, depth=4, width=4).eval()


STATE = dncnn().state_dict()
OTHER = {name: value + 1 for name, value in STATE.items()}


def prefixed(prefix: str, state=STATE) -> dict:
    return {prefix + name: value for name, value in state.items()}


PACKED = {
    "the port": prefixed("module."),
    "compiled and parallel": prefixed("_orig_mod.module."),
    "a part of something": prefixed("net.model._orig_mod."),
    "a layer wrapped by itself": {name.replace(".0.", ".0._orig_mod."): value for name, value in STATE.items()},
    "an epoch beside it": {"epoch": 3, "loss": torch.tensor(0.1), **STATE},
    **{nest: {nest: STATE, "epoch": 3} for nest in ("state_dict", "params", "params_ema", "model", "net")},
    "the average goes first": {"params": OTHER, "params_ema": STATE},
    "nests in nests": {"model": {"state_dict": prefixed("module.net.")}, "optimizer": {"state": {0: OTHER}}},
    "an average of the weights": {"state_dict": OTHER, "state_dict_ema": STATE},
    "another name, beside an optimizer": {
        "netG": STATE,
        "optimizer": torch.optim.Adam(nn.Linear(1, 1).parameters()).state_dict(),
    },
    "arguments and numbers of a training script": {
        "state_dict": STATE,
        "args": argparse.Namespace(lr=1e-4, name="dncnn"),
        "best_psnr": np.float64(29.2),
        "epoch": np.int64(3),
    },
    "settings beside it": {"params": SETTINGS, "model": SETTINGS, "net": {}, "state_dict": STATE},
    "a tensor beside it": {"step": torch.tensor(3), "state_dict": prefixed("model.")},
}


@pytest.mark.parametrize("content", PACKED.values(), ids=PACKED.keys())
def test_the_weights_are_found(content, tmp_path):
    torch.save(content, tmp_path / "net.pth")
    denoiser = load_checkpoint(tmp_path / "net.pth")
    image = torch.rand(1, 1, 12, 15)
    assert torch.equal(denoiser.model.cpu()(image), dncnn()(image))
    assert (denoiser.channels, denoiser.model.training) == (1, False)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_another_precision_are_those_numbers(dtype, tmp_path):
    state = {name: value.to(dtype) if value.is_floating_point() else value for name, value in STATE.items()}
    torch.save(state, tmp_path / "net.pth")
    loaded = load_checkpoint(tmp_path / "net.pth").model.cpu()
    assert all(torch.equal(value.to(dtype), state[name]) for name, value in loaded.state_dict().items())
    assert loaded(torch.rand(1, 1, 12, 15)).dtype == torch.float32


@pytest.mark.parametrize("name", ["net.safetensors", "net.pth", "NET.SAFETENSORS"])
@pytest.mark.parametrize("writer", ["torch", "safetensors"])
def test_a_file_is_read_by_its_content_and_not_by_its_name(writer, name, tmp_path):
    if writer == "torch":
        torch.save(STATE, tmp_path / name)
    else:
        pytest.importorskip("safetensors.torch").save_file(STATE, tmp_path / name)
    image = torch.rand(1, 1, 12, 15)
    assert torch.equal(load_checkpoint(tmp_path / name).model.cpu()(image), dncnn()(image))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            {"state_dict": prefixed("module.")},
            "DnCNN of channels 1, depth 4, width 4, kernel size 3, with batch norm, biases in 0 of 4 convolutions; "
            "its layers estimate the noise, which is subtracted from the image; "
            "found as the weights from module.dncnn.0.weight on, "
            "under state_dict",
        ),
        (
            {"params": NAFNet(3, 2, [1, 0], 1, [0, 1]).state_dict()},
            "NAFNet of channels 3, width 2, encoder [1, 0], middle 1, decoder [0, 1], kernel size 3, "
            "biases in 22 of 24 convolutions; its layers estimate a correction, which is added to the image; "
            "found as the weights from intro.weight on, under params",
        ),
    ],
    ids=["dncnn", "nafnet"],
)
def test_what_was_recognised_is_one_line(content, words, tmp_path):
    torch.save(content, tmp_path / "net.pth")
    assert load_checkpoint(tmp_path / "net.pth").recognised == f"{tmp_path / 'net.pth'}: {words}"


@pytest.mark.parametrize("container", ["model.", "", "module.model."])
def test_the_layout_of_the_author_with_biases_everywhere(container, tmp_path):
    torch.manual_seed(0)
    theirs = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2), nn.ReLU())
    theirs.append(nn.Conv2d(4, 3, 5, padding=2))
    torch.save(prefixed(container, theirs.state_dict()), tmp_path / "net.pth")
    denoiser = load_checkpoint(tmp_path / "net.pth")
    image = torch.rand(1, 3, 12, 15)
    torch.testing.assert_close(denoiser.model.cpu()(image), image - theirs(image))
    assert "depth 3, width 4, kernel size 5, no batch norm, biases in 3 of 3" in denoiser.recognised
    assert denoiser.channels == 3


def refusal(content: object, path: Path) -> str:
    torch.save(content, path)
    with pytest.raises(ConfigError) as caught:
        load_checkpoint(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message


def changed(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> dict:
    return {**STATE, name: change(STATE[name].clone())}


LACKING = {name: value for name, value in STATE.items() if name != "dncnn.3.running_var"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            ResNet(10, depth=20, width=0.1).state_dict(),
            "expected the weights of one DnCNN or NAFNet and no others, found stem.0.weight",
        ),
        ({"epoch": 3, "state_dict": {}}, "found epoch, state_dict"),
        ({}, "found nothing"),
        ({"state_dict": LACKING}, "there is no dncnn.3.running_var"),
        ({"params": {**STATE, "head.weight": torch.ones(1)}}, "head.weight is none of its weights"),
        ({**STATE, "dncnn.3.density_coefficients": torch.ones(1)}, "has a trained density"),
        (
            changed("dncnn.2.weight", lambda value: value.fill_(torch.nan)),
            "dncnn.2.weight holds NaN or infinite values",
        ),
        (
            changed("dncnn.3.bias", lambda value: value.index_fill_(0, torch.tensor(1), torch.inf)),
            "dncnn.3.bias holds NaN",
        ),
        (changed("dncnn.0.weight", lambda value: value.to(torch.int8)), "dncnn.0.weight is of torch.int8"),
        ({"netG": STATE, "netD": OTHER}, "found netG, netD"),
        ({**prefixed("model."), **prefixed("ema_model.", OTHER)}, "and no others, found model.dncnn.0.weight"),
        (dncnn(), "it holds Python objects (models.dncnn.DnCNN), which are not loaded: save model.state_dict()"),
        ({"model": dncnn(), "epoch": 3}, "Python objects (models.dncnn.DnCNN)"),
        ([STATE], "holds a list"),
        (3, "holds a int"),
    ],
)
def test_what_is_no_denoiser_is_one_sentence(content, words, tmp_path):
    assert words in refusal(content, tmp_path / "net.pth")


def text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n")


def half(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


FILES = {
    "nothing": (Path, "cannot be read (No such file or directory)"),
    "a folder": (Path.mkdir, "it is a folder"),
    "a pipe": (os.mkfifo, "it is no file"),
    "empty": (Path.touch, "cannot be read as a file of weights"),
    "text": (text, "torch.save(model.state_dict(), FILE) and safetensors write such files"),
    "truncated": (half, "cannot be read as a file of weights"),
}


@pytest.mark.parametrize(("make", "words"), FILES.values(), ids=FILES.keys())
def test_what_is_no_file_of_weights_is_one_sentence(make, words, tmp_path):
    make(tmp_path / "net.pth")
    with pytest.raises(ConfigError) as caught:
        load_checkpoint(tmp_path / "net.pth")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_ours_without_its_run_is_refused(tmp_path):
    """Its weights are multiplied by densities that only the configuration of the run tells."""
    ours = {"state_dict": prefixed("model."), "metrics": [{}], "pytorch-lightning_version": "2.6.0"}
    assert "name the folder of the run" in refusal(ours, tmp_path / "best.ckpt")


ONE = torch.zeros(1)
NESTS = [
    lambda state: {"params": state},
    lambda state: {"model": {"state_dict": state}},
    lambda state: {"state_dict": STATE, "optimizer": [{"state": (state,)}]},
]


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("nest", NESTS)
@pytest.mark.parametrize(
    "weight", [ONE.expand(10**7, 1, 3, 3), torch.empty(10**7, 1, 3, 3, device="meta"), torch.zeros(9, 9).to_sparse()]
)
def test_weights_that_are_larger_than_their_file(nest, weight, tmp_path):
    content = nest({**STATE, "dncnn.0.weight": weight})
    assert "cannot be read as a file of weights" in refusal(content, tmp_path / "net.pth")


def test_many_weights_that_are_one(tmp_path):
    shared = torch.zeros(4, 4, 3, 3)
    middle = {f"model.{2 * layer}.weight": shared.view(4, 4, 3, 3) for layer in range(1, 1000)}
    ends = {"model.0.weight": torch.zeros(4, 1, 3, 3), "model.2000.weight": torch.zeros(1, 4, 3, 3)}
    assert "share their memory" in refusal(ends | middle, tmp_path / "net.pth")


def test_a_network_that_the_file_does_not_fill(tmp_path):
    content = {"model.0.weight": torch.zeros(40_000, 1, 3, 3), "model.2.weight": ONE.view(1, 1, 1, 1)}
    assert "not those of a DnCNN" in refusal(content, tmp_path / "net.pth")


def test_a_file_that_contains_itself(tmp_path):
    content: dict = {}
    content |= dict.fromkeys(("state_dict", "model", "params"), content)
    assert "found state_dict, model, params" in refusal(content, tmp_path / "net.pth")


@pytest.mark.parametrize("place", ["params", "beside"])
def test_an_attack_is_not_carried_out(place, tmp_path):
    class Attack:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "attacked",)

    content = {"params": {**STATE, "x": Attack()}} if place == "params" else {"params": STATE, "x": Attack()}
    assert "cannot be read" in refusal(content, tmp_path / "net.pth")
    assert not (tmp_path / "attacked").exists()
