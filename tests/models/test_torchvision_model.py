"""model=torchvision: the smallest network of each family, its stem, its channels, and what is refused."""

import inspect

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import get_model_builder, list_models

from models.torchvision_model import torchvision_model

NAMES = list_models(torchvision.models)
# The smallest of each class, by the number of parameters.
SMALLEST = {
    "AlexNet": "alexnet",
    "ConvNeXt": "convnext_tiny",
    "DenseNet": "densenet121",
    "EfficientNet": "efficientnet_b0",
    "GoogLeNet": "googlenet",
    "Inception3": "inception_v3",
    "MNASNet": "mnasnet0_5",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3": "mobilenet_v3_small",
    "RegNet": "regnet_y_400mf",
    "ResNet": "resnet18",
    "ShuffleNetV2": "shufflenet_v2_x0_5",
    "SqueezeNet": "squeezenet1_1",
    "SwinTransformer": "swin_t",
    "VGG": "vgg11",
}
FOR_224 = {"MaxVit": "maxvit_t", "VisionTransformer": "vit_b_32"}
# Networks that start with stride 1, or with patches.
WITHOUT_STEM = {"VGG", "ConvNeXt", "SwinTransformer"}


def on_meta(*arguments, **options):
    with torch.device("meta"):
        return torchvision_model(*arguments, **options)


def first_convolution(model: nn.Module) -> nn.Conv2d:
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d))


def test_every_family_is_tested():
    families = {inspect.signature(get_model_builder(name)).return_annotation.__name__ for name in NAMES}
    assert families == SMALLEST.keys() | FOR_224.keys()


@pytest.mark.parametrize("family", SMALLEST)
def test_the_smallest_of_a_family_classifies_small_images(family):
    torch.manual_seed(0)
    model = torchvision_model(SMALLEST[family], 7, in_channels=1)
    images = torch.randn(2, 1, 32, 32)
    assert model(images).shape == (2, 7)  # in training mode: auxiliary classifiers would add to it
    assert model.eval()(images).shape == (2, 7)
    conv = first_convolution(model)
    assert conv.in_channels == conv.weight.shape[1] == 1
    if family not in WITHOUT_STEM:
        assert (conv.kernel_size, conv.stride, conv.padding) == ((3, 3), (1, 1), (1, 1))
    original = on_meta(SMALLEST[family], 7, in_channels=1, stem="original")
    same = {name: value.shape for name, value in original.state_dict().items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    assert same == (first_convolution(original).kernel_size == conv.kernel_size)


@pytest.mark.parametrize("family", FOR_224)
def test_networks_for_one_size(family):
    images = torch.empty(1, 3, 224, 224, device="meta")
    assert on_meta(FOR_224[family], 7, stem="original")(images).shape == (1, 7)


@pytest.mark.parametrize("name", NAMES)
def test_every_classifier_is_made_without_memory_as_torchvision_makes_it(name):
    model = on_meta(name, 10, stem="original")
    assert {value.device.type for value in (*model.parameters(), *model.buffers())} == {"meta"}
    assert not any("aux" in key for key in model.state_dict())


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "squeezenet1_0", "googlenet", "inception_v3", "alexnet"])
def test_the_small_stem_keeps_the_size_up_to_the_first_block(name):
    model = on_meta(name, 10).eval()
    seen = []

    def hook(layer, _, output):
        seen.append((type(layer), output.shape[-1]))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d):
            module.register_forward_hook(hook)
    model(torch.empty(1, 3, 64, 64, device="meta"))
    assert [kind for kind, _ in seen[:2]] == [nn.Conv2d, nn.Conv2d]
    assert seen[0][1] == 64
    assert seen[1][1] >= 62  # Inception does not pad


def test_only_the_stem_differs():
    changed = {
        name
        for name, module in on_meta("resnet50", 10, stem="original").named_modules()
        if repr(module) != repr(on_meta("resnet50", 10).get_submodule(name))
    }
    assert changed == {"", "conv1", "maxpool"}


def test_a_kernel_that_has_the_size_keeps_its_weights_and_another_is_drawn_as_torchvision_draws_it():
    def first(name, stem):
        torch.manual_seed(0)
        return first_convolution(torchvision_model(name, 10, stem=stem)).weight

    assert torch.equal(first("mobilenet_v2", "small"), first("mobilenet_v2", "original"))
    assert first("resnet18", "small").std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)


def test_looking_for_the_stem_leaves_no_trace():
    model = torchvision_model("resnet18", 10)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())
    assert model.bn1.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "resnet19"}, "torchvision has no classifier of this name; did you mean resnet18"),
        ({"name": "fcn_resnet50"}, "did you mean"),  # one for segmentation
        ({"name": "%"}, "it has 80, such as alexnet"),
        ({"name": "resnet18", "stem": "tiny"}, "model.stem=tiny: choose small or original"),
        ({"name": "resnet18", "in_channels": 4}, "1 to 3 channels, and these have 4"),
    ],
)
def test_what_torchvision_does_not_have_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        torchvision_model(**{"num_classes": 10, **options})
