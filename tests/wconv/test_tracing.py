"""torch.fx, what is built on it, and TorchScript."""

import copy
import io

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

import wconv
from wconv import Bounded, Positive

DENSITY = {3: [0.7], 5: [0.2, 0.8]}
KINDS = [{}, {"trainable": True}, {"trainable": True, "parametrization": Positive()}]
KINDS += [{"trainable": "shared", "parametrization": Bounded(0.0, 2.0)}]
kinds = pytest.mark.parametrize("kind", KINDS, ids=["fixed", "trained", "positive", "shared"])
pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated"),
    pytest.mark.filterwarnings("ignore:.*quantization"),
]


def network(padding_mode: str = "zeros", **kind) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, padding_mode=padding_mode), nn.ReLU(), nn.Conv2d(4, 4, 5, padding=2, groups=2)
    )
    return wconv.convert(model, DENSITY, **kind)


def images() -> torch.Tensor:
    return torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))


@kinds
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_symbolic_trace_computes_and_trains_the_same(kind, padding_mode):
    model = network(padding_mode, **kind)
    traced = torch.fx.symbolic_trace(copy.deepcopy(model))
    for module in (model, traced):
        module(images()).square().sum().backward()
    assert torch.equal(traced(images()), model(images()))
    for name, parameter in traced.named_parameters():
        torch.testing.assert_close(parameter.grad, model.get_parameter(name).grad)
    assert {name for name, _ in traced.named_parameters()} == {name for name, _ in model.named_parameters()}


def test_a_density_an_axis_is_traced_axis_by_axis():
    model = wconv.convert(nn.Sequential(nn.Conv2d(3, 4, (3, 5))), {(3, 5): ([0.7], [0.2, 0.8])}, trainable=True)
    assert torch.equal(torch.fx.symbolic_trace(model)(images()), model(images()))


def test_a_model_that_was_filled_and_not_run_is_traced_with_its_density():
    model = network()
    with torch.device("meta"):
        empty = network()
    for name, parameter in model.named_parameters():
        setattr(empty.get_submodule(name[0]), name[2:], nn.Parameter(parameter.detach().double()))
    batch = images().double()
    assert torch.equal(torch.fx.symbolic_trace(empty)(batch), model.double()(batch))


@kinds
def test_feature_extractors_of_torchvision(kind):
    torch.manual_seed(0)
    model = wconv.convert(torchvision.models.resnet18(num_classes=4), {3: [0.7]}, **kind).eval()
    extractor = create_feature_extractor(model, {"layer2": "features", "fc": "logits"})
    batch, seen = torch.randn(1, 3, 64, 64), []
    model.layer2.register_forward_hook(lambda module, args, output: seen.append(output))
    logits = model(batch)
    found = extractor(batch)
    assert torch.equal(found["logits"], logits)
    assert torch.equal(found["features"], seen[0])


def test_quantisation_by_fx_gives_what_it_gives_for_the_folded_model():
    from torch.ao.quantization import get_default_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

    outputs = []
    for model in (network().eval(), wconv.fold(network()).eval()):
        prepared = prepare_fx(model, get_default_qconfig_mapping("fbgemm"), (images(),))
        prepared(images())
        outputs.append(convert_fx(prepared)(images()))
        assert (outputs[-1] - model(images())).abs().max() < 0.1 * model(images()).abs().max()
    torch.testing.assert_close(*outputs, rtol=0, atol=0.02)


def through_a_file(scripted: torch.jit.ScriptModule) -> torch.jit.ScriptModule:
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    return torch.jit.load(buffer)


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_torchscript_computes_and_trains_the_same(padding_mode):
    model = network(padding_mode)
    scripted = torch.jit.script(copy.deepcopy(model))
    assert list(scripted.state_dict()) == list(model.state_dict())
    for module in (model, scripted):
        module(images()).square().sum().backward()
    assert torch.equal(scripted(images()), model(images()))
    for ours, theirs in zip(model.parameters(), scripted.parameters(), strict=True):
        torch.testing.assert_close(theirs.grad, ours.grad)
    assert torch.equal(through_a_file(scripted)(images()), model(images()))
    frozen = torch.jit.freeze(torch.jit.script(model.eval()))
    torch.testing.assert_close(frozen(images()), model(images()))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_torchscript_rounds_phi_from_the_exact_values_after_a_cast(dtype):
    model = network()
    scripted = through_a_file(torch.jit.script(copy.deepcopy(model))).to(dtype)
    assert torch.equal(scripted(images().to(dtype)), model.to(dtype)(images().to(dtype)))


@pytest.mark.parametrize("kind", [nn.Conv1d, nn.Conv3d])
def test_torchscript_takes_other_dimensions(kind):
    model = wconv.convert(kind(2, 2, 3), {3: [0.7]})
    batch = torch.randn(1, 2, *(5,) * (1 if kind is nn.Conv1d else 3))
    assert torch.equal(torch.jit.script(model)(batch), model(batch))


def test_a_trained_density_is_refused_by_torchscript_in_one_sentence():
    with pytest.raises(ValueError, match=r"TorchScript takes fixed densities.*wconv\.fold"):
        torch.jit.script(network(trainable=True))


@kinds
def test_traces_of_torchscript_are_silent_and_right(kind, recwarn):
    model = network(**kind)
    traced = torch.jit.trace(model, images())
    assert torch.equal(traced(images()[:2]), model(images()[:2]))
    assert not [warning for warning in recwarn if warning.category is torch.jit.TracerWarning]


@pytest.mark.parametrize("capture", [torch.jit.trace, lambda model, batch: torch.fx.symbolic_trace(model)])
@kinds
def test_what_was_traced_moves_to_other_devices_and_dtypes(capture, kind):
    expected = network(**kind).double()(images().double())
    captured = capture(network(**kind), images()).double()
    torch.testing.assert_close(captured(images().double()), expected, rtol=1e-6, atol=1e-6)
    try:  # in TorchScript, PyTorch 2.10 and earlier have no convolution there, plain or not
        capture(nn.Conv2d(2, 2, 1), torch.ones(1, 2, 1, 1)).to("meta")(torch.ones(1, 2, 1, 1, device="meta"))
    except NotImplementedError:
        pytest.skip("this PyTorch cannot compute a traced convolution on the meta device")
    assert captured.to("meta")(images().double().to("meta")).is_meta


def test_what_was_exported_moves_by_the_pass_of_pytorch():
    from torch.export.passes import move_to_device_pass

    program = move_to_device_pass(torch.export.export(network(), (images(),)), "meta")
    assert program.module()(images().to("meta")).is_meta


def test_training_with_simulated_quantisation_by_fx():
    from torch.ao.quantization import get_default_qat_qconfig_mapping
    from torch.ao.quantization.quantize_fx import convert_fx, prepare_qat_fx

    model = nn.Sequential(*network(), nn.BatchNorm2d(4), nn.ReLU()).train()
    prepared = prepare_qat_fx(model, get_default_qat_qconfig_mapping("x86"), (images(),))
    for _ in range(30):  # so that batch norm knows the images
        prepared(images()).sum().backward()
    expected = prepared.eval()(images())
    assert (convert_fx(prepared)(images()) - expected).abs().max() < 0.1 * expected.abs().max()
