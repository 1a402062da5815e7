"""Weights that arrive by other ways than `load_state_dict`: the density is there, and right, whatever the way."""

import copy
import shutil

import pytest
import torch
from torch import nn

import wconv
from wconv import WeightedConv2d
from wconv.modules import Weighted

ALPHA = torch.tensor([0.7, 1, 0.7], dtype=torch.float64)
PHI = torch.outer(ALPHA, ALPHA)


def layer(**kwargs) -> WeightedConv2d:
    torch.manual_seed(0)
    return WeightedConv2d(3, 4, 3, density=[0.7], **kwargs)


def images(dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(1)).to(dtype)


def expected(source: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Return the plain convolution with the product, worked out here."""
    weight, bias = source.weight.detach(), source.bias.detach()
    return nn.functional.conv2d(batch, weight * PHI.to(weight.dtype), bias)


def by_setattr(empty: nn.Module, full: nn.Module) -> None:
    for name, parameter in full.named_parameters():
        setattr(empty, name, nn.Parameter(parameter.detach().clone()))


def by_parameters_dict(empty: nn.Module, full: nn.Module) -> None:
    for name, parameter in full.named_parameters():
        empty._parameters[name] = nn.Parameter(parameter.detach().clone())


def by_data(empty: nn.Module, full: nn.Module) -> None:
    for name in ("weight", "bias"):
        setattr(empty, name, nn.Parameter(torch.empty(0)))
        getattr(empty, name).data = getattr(full, name).detach().clone()


def as_transformers_does(empty: nn.Module, full: nn.Module) -> None:
    """Every buffer that no checkpoint holds gets memory without values, too."""
    by_setattr(empty, full)
    for name, buffer in list(empty.named_buffers()):
        setattr(empty, name, torch.full_like(buffer, float("nan"), device="cpu"))


LOADERS = [by_setattr, by_parameters_dict, by_data, as_transformers_does]


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_weights_that_are_put_into_a_module_on_meta(load, dtype):
    full = layer(dtype=dtype)
    with torch.device("meta"):
        empty = layer()
    load(empty, full)
    assert torch.equal(empty(images(dtype)), expected(full, images(dtype)))
    assert torch.equal(empty.density, PHI.to(dtype))
    assert torch.equal(wconv.fold(copy.deepcopy(empty))(images(dtype)), expected(full, images(dtype)))


@pytest.mark.parametrize("trainable", [False, True])
def test_there_is_no_buffer(trainable):
    assert list(layer(trainable_density=trainable).buffers()) == []


def test_phi_is_made_once_and_kept():
    module = layer()
    module(images())
    assert module.density is module.density
    module.weight.data = module.weight.data.double()
    module.bias.data = module.bias.data.double()
    assert torch.equal(module(images(torch.float64)), expected(module, images(torch.float64)))
    assert module.density is module.density


@pytest.mark.parametrize("transform", [torch.func.grad, torch.func.vmap, torch.func.jvp])
def test_what_a_transform_makes_is_not_kept(transform):
    module = layer()
    by_setattr(module, layer().double())
    batch = images(torch.float64)
    if transform is torch.func.grad:
        torch.func.grad(lambda batch: module(batch).sum())(batch)
    elif transform is torch.func.vmap:
        torch.func.vmap(module)(batch[:, None])
    else:
        torch.func.jvp(module, (batch,), (batch,))
    assert torch.equal(module(batch), expected(module, batch))
    module(batch).sum().backward()
    assert torch.equal(copy.deepcopy(module).density, PHI)


def test_what_fake_tensors_make_is_not_kept():
    from torch._subclasses import FakeTensorMode

    module = layer()
    by_setattr(module, layer().double())
    batch = images(torch.float64)
    with FakeTensorMode(allow_non_fake_inputs=True):
        module(batch)
    assert torch.equal(module(batch), expected(module, batch))


INDUCTOR = pytest.param(
    "inductor", marks=pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
)


@pytest.mark.parametrize("backend", ["eager", "aot_eager", INDUCTOR])
def test_a_compiled_model_takes_weights_of_another_dtype(backend):
    module = layer()
    compiled = torch.compile(module, backend=backend, fullgraph=True)
    compiled(images())
    by_setattr(module, layer().double())
    batch = images(torch.float64)
    torch.testing.assert_close(compiled(batch), expected(module, batch))
    assert torch.equal(module(batch), expected(module, batch))


def test_export_of_a_model_that_was_filled_and_not_run():
    full = layer(dtype=torch.float64)
    with torch.device("meta"):
        empty = layer()
    by_setattr(empty, full)
    batch = images(torch.float64)
    program = torch.export.export(empty, (batch,))
    assert torch.equal(program.module()(batch), expected(full, batch))
    assert torch.equal(empty(batch), expected(full, batch))


@pytest.mark.parametrize("trainable", [False, True])
def test_what_inference_mode_made_can_be_trained(trainable):
    plain = nn.Conv2d(3, 4, 3)
    with torch.inference_mode():
        module = wconv.convert(plain, {3: [0.7]}, trainable=trainable)
        module(images())
    module(images()).square().sum().backward()
    with torch.device("meta"):
        empty = layer()
    by_setattr(empty, layer())
    with torch.inference_mode():
        empty(images())
    empty(images()).square().sum().backward()
    assert empty.weight.grad.isfinite().all()


def test_a_kernel_of_another_shape_is_refused():
    module = layer()
    module.weight = nn.Parameter(torch.randn(4, 3, 1, 1))
    with pytest.raises(ValueError, match=r"does not fit a kernel of \(1, 1\)"):
        module(images())


def test_weights_that_are_away_while_the_layer_moves():
    """DeepSpeed and FSDP1 leave an empty or a flat parameter where a part of the model is not at work."""
    module = layer()
    weight = module.weight.detach().double()
    for elsewhere in (torch.empty(0), torch.empty(7)):
        module.weight.data = elsewhere
        module.to(torch.float64)
        assert torch.equal(module.density, PHI)
    module.weight.data = weight
    assert torch.equal(module(images(torch.float64)), expected(module, images(torch.float64)))


def test_compiled_code_finds_phi_after_the_weights_have_come():
    with torch.device("meta"):
        module = layer()
    by_setattr(module, layer().double())
    graphs = []
    batch = images(torch.float64)
    compiled = torch.compile(module, backend=lambda graph, inputs: graphs.append(graph) or graph.forward)
    assert torch.equal(compiled(batch), expected(module, batch))
    assert "to(" not in graphs[0].code


def test_integers_are_refused_where_phi_would_be_rounded_to_nothing():
    module = layer()
    module.weight = nn.Parameter(torch.ones(4, 3, 3, 3, dtype=torch.int64), requires_grad=False)
    with pytest.raises(ValueError, match="int64"):
        _ = module.density


def test_a_replica_of_data_parallel_has_its_density():
    """Its weights are plain attributes, and the dictionary of parameters is empty."""
    module = layer()
    replica = module._replicate_for_data_parallel()
    assert isinstance(replica, Weighted)
    replica._parameters = {"density_coefficients": None}
    replica.weight, replica.bias = module.weight.detach().double(), module.bias.detach().double()
    assert torch.equal(replica(images(torch.float64)), expected(replica, images(torch.float64)))


@pytest.mark.parametrize("trainable", [False, True])
def test_skip_init_leaves_the_weights_out_and_not_the_density(trainable):
    module = torch.nn.utils.skip_init(WeightedConv2d, 3, 4, 3, density=[0.7], trainable_density=trainable)
    torch.testing.assert_close(module.density.detach(), PHI.float())
