import copy
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from wconv import WeightedConv2d


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect", "circular"])
@pytest.mark.parametrize(("stride", "dilation", "groups"), [(1, 1, 1), (2, 1, 2), (1, 2, 4)])
def test_output_is_the_convolution_with_the_product(padding_mode, stride, dilation, groups):
    layer = WeightedConv2d(4, 8, 3, stride, dilation, dilation, groups, padding_mode=padding_mode, density=[0.7])
    plain = nn.Conv2d(4, 8, 3, stride, dilation, dilation, groups, padding_mode=padding_mode)
    phi = torch.tensor([[0.49, 0.7, 0.49], [0.7, 1, 0.7], [0.49, 0.7, 0.49]])
    plain.weight.data = layer.weight.data * phi
    plain.bias.data = layer.bias.data.clone()
    images = torch.randn(2, 4, 9, 9)
    assert torch.equal(layer(images), plain(images))


def test_without_a_density_it_is_conv2d():
    torch.manual_seed(0)
    layer = WeightedConv2d(3, 5, (3, 5), padding="same")
    torch.manual_seed(0)
    plain = nn.Conv2d(3, 5, (3, 5), padding="same")
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(layer(images), plain(images))


def test_gradient_of_a_tap_is_scaled_by_its_density():
    layer = WeightedConv2d(2, 3, 3, density=[0.7], dtype=torch.float64)
    images = torch.randn(2, 2, 6, 6, dtype=torch.float64)
    layer(images).square().sum().backward()
    product = (layer.weight * layer.density).detach().requires_grad_()
    F.conv2d(images, product, layer.bias).square().sum().backward()
    assert torch.allclose(layer.weight.grad, product.grad * layer.density)
    assert layer.density.grad is None


def test_state_dict_is_that_of_conv2d():
    layer = WeightedConv2d(2, 3, 3, density=[0.7])
    assert list(layer.state_dict()) == ["weight", "bias"]
    nn.Conv2d(2, 3, 3).load_state_dict(layer.state_dict())


def test_density_follows_dtype_and_copies():
    layer = copy.deepcopy(WeightedConv2d(2, 3, 3, density=[0.7]).double())
    assert layer.density.dtype == torch.float64
    assert layer.density[0, 0] == pytest.approx(0.49)


def test_repr_shows_the_density():
    assert "density=[0.7]" in repr(WeightedConv2d(2, 3, 3, density=[0.7]))
    assert "density=[[0.7], [0.2, 0.8]]" in repr(WeightedConv2d(2, 3, (3, 5), density=([0.7], [0.2, 0.8])))


@pytest.mark.parametrize(
    "foreign",
    [
        ("pytorch_lightning", "hydra", "torchvision", "wandb", "torch.distributed.tensor"),
        pytest.param(("timm", "transformers"), marks=pytest.mark.ecosystem),
    ],
    ids=["of the experiment", "of the ecosystem"],
)
def test_the_library_imports_torch_alone(foreign):
    code = (
        "import sys, wconv; wconv.convert(wconv.WeightedConv2d(1, 1, 3), {}); "
        f"print([name for name in {foreign} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
