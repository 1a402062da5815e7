"""model=timm: one small network of many families, its stem, its channels, and what is refused."""

import sys

import pytest
import torch
from torch import nn

from models.timm_model import timm_model


def test_without_timm_the_command_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ValueError, match=r'pip install -c constraints.txt -e "\.\[timm\]"'):
        timm_model("resnet18", 10)


@pytest.mark.ecosystem
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet19", "did you mean .*resnet1"),
        ("resnet18.a1_in1k", "did you mean .*resnet18"),  # pretrained weights
        ("hf-hub:somebody/something", "timm has no classifier of this name"),  # a download
        ("local-dir:somewhere", "timm has no classifier of this name"),
    ],
)
def test_other_names_are_refused(name, message):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=message):
        timm_model(name, 10)


# What the first convolution is, and what stands in place of the pooling.
STEMS = {
    "resnet18": ("conv1", "maxpool"),
    "resnet10t": ("conv1.0", "maxpool"),  # a stem of three convolutions
    "resnetblur18": ("conv1", "maxpool"),  # max-pooling, then a blur
    "resnetv2_50x1_bit": ("stem.conv", "stem.pool"),  # standardised kernels
    "densenet121": ("features.conv0", "features.pool0"),
    "nf_resnet26": ("stem.conv", "stem.pool"),  # scaled kernels
    "dpn68": ("features.conv1_1.conv", "features.conv1_pool"),
    "tf_efficientnet_b0": ("conv_stem", None),  # padded as TensorFlow does
    "mobilenetv3_small_050": ("conv_stem", None),
    "regnetx_002": ("stem.conv", None),
    "test_resnet": ("conv1.0", "maxpool"),
    "legacy_xception": ("conv1", None),  # pooling within a block
    "inception_v4": ("features.0.conv", None),
    "hrnet_w18_small": ("conv1", None),
}


@pytest.mark.ecosystem
@pytest.mark.parametrize("name", STEMS)
def test_small_images(name):
    pytest.importorskip("timm")
    torch.manual_seed(0)
    model = timm_model(name, 7, in_channels=1)
    conv, pooling = STEMS[name]
    layer = model.get_submodule(conv)
    assert (layer.kernel_size, layer.stride) == ((3, 3), (1, 1))
    images = torch.randn(2, 1, 64, 64)
    assert layer(images).shape[-2:] == (64, 64)
    assert model(images).shape == (2, 7)
    identities = {place for place, module in model.named_modules() if type(module) is nn.Identity}
    with torch.device("meta"):
        original = timm_model(name, 7, stem="original")
    new = {place for place in identities if not isinstance(original.get_submodule(place), nn.Identity)}
    assert new - {"stem.pad"} == ({pooling} if pooling else set())


@pytest.mark.ecosystem
@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "convmixer_768_32"])
def test_networks_that_start_with_patches_stay_as_they_are(name):
    pytest.importorskip("timm")
    with torch.device("meta"):
        assert repr(timm_model(name, 7)) == repr(timm_model(name, 7, stem="original"))


@pytest.mark.ecosystem
def test_a_scaled_kernel_has_the_scale_of_its_new_size():
    """timm divides by the root of the number of taps: 7x7 before, 3x3 now."""
    pytest.importorskip("timm")
    small, original = (timm_model("nf_resnet26", 7, stem=stem).stem.conv.scale for stem in ("small", "original"))
    assert small == pytest.approx(original * 7 / 3)
