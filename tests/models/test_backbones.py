"""What every classification backbone has to keep to."""

import pytest
import torch
from torch import nn

import wconv
from models.init import kaiming, pytorch
from models.resnet import ResNet
from models.vgg import VGG


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("model", "millions"),
    [
        (lambda: VGG(100, head="mlp"), 34.0),
        (lambda: VGG(100), 14.8),
        (lambda: ResNet(100, depth=18), 11.2),
        (lambda: ResNet(100, depth=34), 21.3),
        (lambda: ResNet(100, depth=50), 23.7),
        (lambda: ResNet(10, depth=20), 0.27),
        (lambda: ResNet(100, depth=20), 0.28),
        (lambda: ResNet(10, depth=110), 1.7),
    ],
)
def test_parameter_counts_are_the_published_ones(model, millions):
    with torch.device("meta"):
        count = parameters(model())
    assert round(count / 1e6, 2 if millions < 1 else 1) == millions


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_vgg_has_as_many_layers_as_its_name_says(depth):
    with torch.device("meta"):
        model = VGG(100, depth=depth, head="mlp")
    assert sum(isinstance(module, nn.Conv2d | nn.Linear) for module in model.modules()) == depth


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 18, 34, 50])
def test_resnet_has_as_many_layers_as_its_name_says(depth):
    with torch.device("meta"):
        model = ResNet(100, depth=depth)
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert sum("shortcut" not in name for name in names) == depth


BACKBONES = [
    lambda **options: VGG(7, depth=11, width=0.1, **options),
    lambda **options: ResNet(7, depth=20, width=0.5, **options),
    lambda **options: ResNet(7, depth=50, width=0.1, **options),
]


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("make", BACKBONES)
def test_logits_and_gradients(make, batch_norm, kernel_size):
    model = make(batch_norm=batch_norm, kernel_size=kernel_size, in_channels=1)
    kaiming(model)
    logits = model(torch.randn(2, 1, 32, 32))
    assert logits.shape == (2, 7)
    logits.square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert bool(norms) == batch_norm
    sizes = {module.kernel_size for module in model.modules() if isinstance(module, nn.Conv2d)}
    assert sizes - {(1, 1)} == {(kernel_size, kernel_size)}


@pytest.mark.parametrize("make", BACKBONES)
def test_names_of_weights_do_not_depend_on_the_convolution(make):
    keys = list(make().state_dict())
    assert list(wconv.convert(make(), {3: [0.7]}).state_dict()) == keys


def test_shortcut_of_the_small_family_has_no_parameters_and_keeps_the_features():
    block = next(block for block in ResNet(10, depth=20).blocks if block.shortcut.__class__.__name__ == "PadShortcut")
    features = torch.randn(1, 16, 8, 8)
    out = block.shortcut(features)
    assert out.shape == (1, 32, 4, 4)
    assert torch.equal(out[:, 8:24], features[:, :, ::2, ::2])
    assert out.abs().sum() == out[:, 8:24].abs().sum()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VGG(10, depth=12), "11, 13, 16, 19"),
        (lambda: VGG(10, kernel_size=4), "3, 5 or 7"),
        (lambda: VGG(10, width=0), "above 0"),
        (lambda: VGG(10, head="cosine"), "linear and mlp"),
        (lambda: ResNet(10, depth=19), "18, 20, 32"),
        (lambda: ResNet(10, kernel_size=9), "3, 5 or 7"),
    ],
)
def test_what_a_backbone_does_not_have_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_kaiming_draws_the_convolutions_alone():
    torch.manual_seed(0)
    model = VGG(10, depth=11)
    linear = model.classifier.weight.clone()
    kaiming(model)
    conv = model.features[4]
    assert conv.weight.std().item() == pytest.approx((2 / (conv.out_channels * 9)) ** 0.5, rel=0.02)
    assert conv.bias.abs().sum() == 0
    assert torch.equal(model.classifier.weight, linear)


def test_pytorch_leaves_all_as_it_is():
    model = VGG(10, depth=11, width=0.1)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pytorch(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
