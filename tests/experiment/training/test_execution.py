"""The settings of how a network is computed: what they change, and what they must not."""

import itertools

import pytest
import torch
from torch import nn

import wconv
from models.dncnn import DnCNN
from models.nafnet import NAFNet
from models.resnet import ResNet
from models.vgg import VGG
from tests.tiny import DENOISER, command_line
from wconv.experiment import run
from wconv.experiment.training import execution, guard, preflight

BACKBONES = {
    "vgg": (lambda: VGG(10, width=0.1), (2, 3, 32, 32)),
    "resnet": (lambda: ResNet(10, depth=20), (2, 3, 32, 32)),
    "dncnn": (lambda: DnCNN(1, depth=3, width=4), (2, 1, 16, 16)),
    "nafnet": (lambda: NAFNet(1, 4, [1], 1, [1]), (2, 1, 16, 16)),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_feature_maps_follow_the_kernels_without_a_copy(name):
    """No convolution of a network in channels_last sees another format, nor does W * Phi have one."""
    make, shape = BACKBONES[name]
    model = wconv.convert(make(), {3: [0.7]}).to(memory_format=torch.channels_last)
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    def note(layer, inputs, output):
        kernel = layer.weight * layer.density if isinstance(layer, wconv.WeightedConv2d) else layer.weight
        seen.append((kernel, output))

    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    model(torch.rand(shape)).sum().backward()
    assert len(seen) > 2
    for kernel, output in seen:
        assert kernel.is_contiguous(memory_format=torch.channels_last)
        assert output.is_contiguous(memory_format=torch.channels_last)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.weight.grad.is_contiguous(memory_format=torch.channels_last)


def test_the_default_is_channels_last_and_changes_only_the_rounding(train):
    default, contiguous = train("trainer.max_epochs=1"), train("trainer.max_epochs=1", "channels_last=false")
    assert (default.code, contiguous.code) == (0, 0), default.err + contiguous.err
    assert default.directory != contiguous.directory
    first, second = (
        torch.load(done.directory / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for done in (default, contiguous)
    )
    assert list(first) == list(second)
    torch.testing.assert_close(first, second, rtol=1e-2, atol=1e-3)
    name = "model.features.4.weight"  # the first has three channels, and a kernel of one is in both formats
    assert first[name].is_contiguous(memory_format=torch.channels_last)
    assert second[name].is_contiguous()
    assert not torch.equal(first[name], second[name])


def test_a_machine_without_bfloat16_is_told_so_in_one_sentence(train, monkeypatch):
    monkeypatch.setattr(preflight, "has_bfloat16_instructions", lambda: False)
    with pytest.warns(UserWarning, match="this CPU has no instructions for bfloat16") as told:
        done = train("fast=true", "debug=fast")
    assert done.code == 0
    assert len([warning for warning in told if "bfloat16" in str(warning.message)]) == 1


def test_without_a_compiler_the_run_goes_on_uncompiled(train, monkeypatch):
    def refuse(*args, **kwargs):
        raise RuntimeError("No working C++ compiler found\nin torch._inductor.config.cpp.cxx")

    plain = train("debug=fast")
    monkeypatch.setattr(torch, "compile", refuse)
    with pytest.warns(UserWarning, match=r"compile=true: PyTorch cannot compile here \(No working C\+\+ compiler"):
        done = train("debug=fast", "compile=true")
    assert done.code == 0, done.err
    assert done.directory != plain.directory  # what was asked for is what the run is called by
    assert done.results["metrics"] == plain.results["metrics"]


@pytest.fixture
def eager_compiler(monkeypatch):
    """Let Dynamo trace, guard and recompile as ever, and leave out Inductor, which takes a minute."""
    compiled: list[tuple[int, ...]] = []

    def backend(graph, inputs):
        compiled.append(tuple(inputs[-1].shape))
        return graph.forward

    compile_module = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda *args, **kw: compile_module(*args, **kw, backend=backend))
    monkeypatch.setattr(execution, "why_not_compile", lambda device: "")
    torch.compiler.reset()
    yield compiled
    torch.compiler.reset()


def test_only_the_training_step_is_compiled(eager_compiler, tmp_path):
    """The test images of many sizes, and those of the validation, are no further programs."""
    words = command_line(DENOISER, "compile=true", f"paths.output_dir={tmp_path}", "datamodule.drawn_size=40")
    result = run(words)
    assert result.metrics["test/psnr"] > 0
    assert len(eager_compiler) == 1
    assert torch._dynamo.eval_frame._stance.stance == "default"


@pytest.mark.parametrize(
    ("precision", "compiled", "channels_last"),
    list(itertools.product(("32-true", "bf16-mixed"), ("true", "false"), ("true", "false"))),
)
def test_resuming_is_bit_identical_for_every_combination(
    precision, compiled, channels_last, train, tmp_path, monkeypatch, eager_compiler
):
    options = (f"trainer.precision={precision}", f"compile={compiled}", f"channels_last={channels_last}")
    options += ("conv=weighted", "datamodule.train_images=100", "datamodule.batch_size=30", "datamodule.val_size=20")
    undisturbed = train(*options)
    assert undisturbed.code == 0, undisturbed.err
    elsewhere = (*options, f"paths.output_dir={tmp_path / 'other'}")
    asked = iter(["", "", "", "", "SIGUSR1"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guard, "stop_signal", lambda: next(asked, "SIGUSR1"))
        assert train(*elsewhere).code == 75
    resumed = train(*elsewhere)
    assert resumed.code == 0, resumed.err
    assert "resuming from step" in resumed.out
    one, other = (
        torch.load(done.directory / "checkpoints" / "last.ckpt", weights_only=True) for done in (undisturbed, resumed)
    )
    assert all(torch.equal(one["state_dict"][key], other["state_dict"][key]) for key in one["state_dict"])
    assert (undisturbed.directory / "metrics.csv").read_text() == (resumed.directory / "metrics.csv").read_text()
