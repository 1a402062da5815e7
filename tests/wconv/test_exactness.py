"""The layer is the plain convolution with the kernel W * Phi: not nearly, but bit for bit."""

from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import wconv
from wconv import Bounded, Positive
from wconv.modules import WEIGHTED

PLAIN = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
EXACT = settings(deadline=None, derandomize=True, database=None)
COEFFICIENT = st.floats(-2, 2).map(lambda value: round(value, 3))


@dataclass
class Case:
    """One layer and what is put into it."""

    dimensions: int
    arguments: dict[str, Any]
    density: Any
    phi: np.ndarray  # of the density, worked out here
    seed: int
    input_shape: tuple[int, ...]

    def layers(self, **kwargs: Any) -> tuple[Any, nn.Module, torch.Tensor]:
        """Return the weighted layer, the plain one that started from the same random state, and an input."""
        plain_class = PLAIN[self.dimensions]
        torch.manual_seed(self.seed)
        layer = WEIGHTED[plain_class](**self.arguments, **kwargs)
        torch.manual_seed(self.seed)
        plain = plain_class(**self.arguments)
        return layer, plain, torch.randn(self.input_shape).to(self.arguments["dtype"])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    dimensions = draw(st.integers(1, 3))

    def per_axis(values: st.SearchStrategy[int]) -> tuple[int, ...]:
        return tuple(draw(st.lists(values, min_size=dimensions, max_size=dimensions)))

    def maybe_int(values: tuple[int, ...]) -> int | tuple[int, ...]:
        return values[0] if len(set(values)) == 1 and draw(st.booleans()) else values

    kernel = per_axis(st.sampled_from([1, 3, 5, 7] if dimensions < 3 else [1, 3, 5]))
    if draw(st.booleans()):
        kernel = kernel[:1] * dimensions
    dilation = per_axis(st.integers(1, 2))
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = draw(st.sampled_from(["same", "valid", "numbers", "numbers"]))
    stride = (1,) * dimensions if padding == "same" else per_axis(st.integers(1, 3))
    # Reflection and wrapping take no more than the input has.
    size = tuple(e + draw(st.integers(0 if padding != "numbers" else 2, 3)) for e in extent)
    if padding == "numbers":
        padding = maybe_int(tuple(min(p, s - 1) for p, s in zip(per_axis(st.integers(0, 3)), size, strict=True)))
    mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    groups, into, out = draw(st.sampled_from([1, 1, 2, 3])), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    batch = draw(st.sampled_from([(), (1,), (2,)]))

    halves = [draw(st.lists(COEFFICIENT, min_size=k // 2, max_size=k // 2)) for k in kernel]
    density: Any = tuple(halves)
    if len(set(kernel)) == 1 and draw(st.booleans()):
        density, halves = halves[0], halves[:1] * dimensions
    phi = reduce(np.multiply.outer, [np.array([*half, 1.0, *reversed(half)]) for half in halves])
    if draw(st.integers(0, 4)) == 0:
        density = torch.from_numpy(phi)
    arguments = {
        "in_channels": groups * into,
        "out_channels": groups * out,
        "kernel_size": maybe_int(kernel),
        "stride": maybe_int(stride),
        "padding": padding,
        "dilation": maybe_int(dilation),
        "groups": groups,
        "bias": draw(st.booleans()),
        "padding_mode": mode,
        "dtype": draw(st.sampled_from([torch.float64, torch.float32, torch.bfloat16])),
    }
    return Case(dimensions, arguments, density, phi, draw(st.integers(0, 1000)), (*batch, groups * into, *size))


@settings(EXACT, max_examples=500)
@given(cases())
def test_output_is_that_of_the_plain_convolution_with_the_product(case: Case):
    layer, plain, images = case.layers(density=case.density)
    phi = torch.from_numpy(case.phi).to(case.arguments["dtype"])
    with torch.no_grad():
        assert torch.equal(layer.weight, plain.weight)
        plain.weight.mul_(phi)
        output = layer(images)
        assert torch.equal(output, plain(images))
    assert output.dtype == case.arguments["dtype"]


@settings(EXACT, max_examples=150)
@given(cases())
def test_without_a_density_it_is_the_plain_convolution(case: Case):
    layer, plain, images = case.layers()
    with torch.no_grad():
        assert torch.equal(layer(images), plain(images))


@settings(EXACT, max_examples=150)
@given(cases(), st.booleans())
def test_folding_changes_no_bit_in_float32(case: Case, trainable: bool):
    case.arguments["dtype"] = torch.float32
    trainable = trainable and case.phi.size > 1 and not isinstance(case.density, torch.Tensor)
    layer, plain, images = case.layers(density=case.density, trainable_density=trainable)
    with torch.no_grad():
        weighted = layer(images)
        folded = wconv.fold(layer)
        assert type(folded) is type(plain)
        assert torch.equal(folded(images), weighted)


@settings(EXACT, max_examples=100)
@given(cases())
def test_gradients_are_those_of_the_plain_convolution_times_phi(case: Case):
    case.arguments["dtype"] = torch.float64
    layer, plain, images = case.layers(density=case.density)
    phi = torch.from_numpy(case.phi)
    with torch.no_grad():
        plain.weight.mul_(phi)
    results = []
    for module in (layer, plain):
        leaf = images.clone().requires_grad_()
        module(leaf).square().sum().backward()
        results.append(leaf.grad)
    assert torch.equal(*results)
    assert torch.equal(layer.weight.grad, plain.weight.grad * phi)
    assert layer.bias is None or torch.equal(layer.bias.grad, plain.bias.grad)


@pytest.mark.parametrize("parametrization", [None, Positive(), Bounded(0.0, 1.5)])
@pytest.mark.parametrize(
    ("dimensions", "kernel", "density"),
    [
        (1, 5, [0.2, 0.8]),
        (2, 3, [0.7]),
        (2, (3, 5), ([0.7], [0.2, 0.8])),
        (2, 3, ([0.7], [0.6])),
        (3, 3, [0.7]),
        (3, (1, 3, 3), ([], [0.8], [0.7])),
    ],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_gradcheck_of_weight_input_bias_and_density(dimensions, kernel, density, groups, parametrization):
    torch.manual_seed(0)
    layer = WEIGHTED[PLAIN[dimensions]](
        2, 2, kernel, groups=groups, dtype=torch.float64, density=density, trainable_density=True,
        parametrization=parametrization,
    )  # fmt: skip
    names = [name for name, _ in layer.named_parameters()]
    assert names == ["weight", "bias", "density_coefficients"]

    def function(images: torch.Tensor, *values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (images,))

    images = torch.randn(1, 2, *(size + 1 for size in layer.kernel_size), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, (images, *layer.parameters()))


def test_gradcheck_of_a_fixed_density():
    torch.manual_seed(0)
    layer = wconv.WeightedConv2d(2, 2, 3, density=[0.7], dtype=torch.float64)
    images = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)

    def function(images: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (images,))

    assert torch.autograd.gradcheck(function, (images, layer.weight, layer.bias))
    assert torch.autograd.gradgradcheck(function, (images, layer.weight, layer.bias))


def test_the_functions_are_the_layers():
    torch.manual_seed(0)
    for dimensions, function in enumerate((wconv.weighted_conv1d, wconv.weighted_conv2d, wconv.weighted_conv3d), 1):
        layer = WEIGHTED[PLAIN[dimensions]](4, 4, 3, 2, 1, 1, 2, density=[0.7])
        images = torch.randn(2, 4, *(7,) * dimensions)
        output = function(images, layer.weight, layer.density, layer.bias, 2, 1, 1, 2)
        assert torch.equal(output, layer(images))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (), (5, 5)])
def test_a_phi_that_would_be_broadcast_is_refused(shape):
    with pytest.raises(ValueError, match=r"does not fit a kernel of \(3, 3\)"):
        wconv.weighted_conv2d(torch.ones(1, 2, 5, 5), torch.ones(2, 2, 3, 3), torch.ones(shape))


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("dimensions", [2, 3])
def test_channels_last_is_kept(dimensions, trainable):
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[dimensions]
    kind = WEIGHTED[PLAIN[dimensions]]
    layer = kind(4, 4, 3, density=[0.7], trainable_density=trainable, dtype=torch.float64)
    batch = torch.randn(2, 4, *(6,) * dimensions, dtype=torch.float64)
    expected = layer(batch)
    layer.to(memory_format=last)
    product = wconv.functional.weighted(layer.weight, layer.density)
    assert product.is_contiguous(memory_format=last)
    assert not product.is_contiguous()
    output = layer(batch.to(memory_format=last))
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)
    output.sum().backward()
    assert layer.weight.grad.is_contiguous(memory_format=last)
