"""timm: its own convolutions, models whole and in part, feature extraction and fusion."""

import copy
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import wconv
from wconv.modules import Weighted

timm = pytest.importorskip("timm")
from timm.layers import Conv2dSame, ScaledStdConv2d, ScaledStdConv2dSame, StdConv2d, StdConv2dSame  # noqa: E402
from timm.utils.model import reparameterize_model  # noqa: E402

from wconv.timm_layers import SUBCLASSES  # noqa: E402

pytestmark = pytest.mark.ecosystem
DENSITY = {3: [0.7], 5: [0.2, 0.8], 7: [0.25, 0.15, 0.55]}
PHI = torch.outer(*(torch.tensor([0.7, 1, 0.7], dtype=torch.float64),) * 2)


def standardised(weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Return the kernel with mean 0 and (biased) variance 1 an output channel, worked out here."""
    rows = weight.flatten(1)
    rows = (rows - rows.mean(1, keepdim=True)) / (rows.var(1, unbiased=False, keepdim=True) + eps).sqrt()
    return rows.view_as(weight)


def kernel(layer: torch.nn.Conv2d) -> torch.Tensor:
    """Return what the layer of timm convolves with."""
    if isinstance(layer, Conv2dSame):
        return layer.weight
    gain = layer.gain * layer.scale if hasattr(layer, "gain") else 1.0
    return gain * standardised(layer.weight, layer.eps)


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kind", [Conv2dSame, StdConv2d, StdConv2dSame, ScaledStdConv2d, ScaledStdConv2dSame])
def test_the_layers_of_timm(kind, stride, trainable):
    torch.manual_seed(0)
    layer = kind(2, 4, 3, stride=stride, bias=True).double()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(0.1, 1)
    batch = torch.randn(2, 2, 7, 7, dtype=torch.float64)
    plain = layer(batch)
    # "same" of an odd size is one pixel a side, for both strides
    torch.testing.assert_close(plain, F.conv2d(batch, kernel(layer), layer.bias, stride, 1))
    expected = F.conv2d(batch, kernel(layer) * PHI, layer.bias, stride, 1)
    keys = list(layer.state_dict())

    model = wconv.convert(torch.nn.Sequential(layer), {3: [0.7]}, subclasses=SUBCLASSES, trainable=trainable)
    assert isinstance(layer, Weighted)
    assert isinstance(layer, kind)
    assert [key for key in layer.state_dict() if "density" not in key] == keys
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        each(batch).sum().backward()
        assert all(parameter.grad is not None for parameter in each.parameters())
        torch.testing.assert_close(each(batch), expected)
        wconv.fold(each)
        torch.testing.assert_close(each(batch), expected)
        assert list(each[0].state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize("kind", [StdConv2d, ScaledStdConv2dSame])
def test_the_function_of_a_standardised_kernel_cannot_be_preserved(kind):
    model = torch.nn.Sequential(kind(2, 4, 3))
    with pytest.raises(ValueError, match="the function cannot be preserved"):
        wconv.convert(model, {3: [0.7]}, subclasses=SUBCLASSES, preserve="function")
    assert type(model[0]) is kind


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "resnetv2_50x1_bit", "nf_resnet26", "tf_mixnet_s"])
def test_models_that_were_converted_in_part_are_converted_in_whole(name):
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3).eval()
    with pytest.warns(UserWarning, match=r"are left alone, since their classes .*wconv\.timm_layers\.SUBCLASSES"):
        wconv.convert(copy.deepcopy(model), DENSITY)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="density for kernel size")
        warnings.filterwarnings("error", message=".*left alone")
        wconv.convert(model, DENSITY, subclasses=SUBCLASSES)
    left = [layer for layer in wconv.summary(model) if layer.density is None and layer.kernel_size[0] in DENSITY]
    assert left == []
    with torch.inference_mode():
        batch = torch.randn(1, 3, 64, 64)
        expected = model(batch)
        torch.testing.assert_close(wconv.fold(model)(batch), expected)
    assert wconv.is_folded(model)


@pytest.mark.parametrize("trainable", [False, True])
def test_feature_extraction_by_fx_and_by_hooks(trainable):
    torch.manual_seed(0)
    from timm.models import create_feature_extractor

    model = timm.create_model("resnet10t", num_classes=3).eval()
    wconv.convert(model, {3: [0.7]}, trainable=trainable)
    batch, seen = torch.randn(1, 3, 64, 64), []
    model.layer2.register_forward_hook(lambda module, args, output: seen.append(output))
    model(batch)
    assert torch.equal(create_feature_extractor(model, ["layer2"])(batch)["layer2"], seen[0])
    features = timm.create_model("resnet10t", features_only=True).eval()
    wconv.convert(features, {3: [0.7]})
    expected = features(batch)
    for left, right in zip(wconv.fold(features)(batch), expected, strict=True):
        assert torch.equal(left, right)


def fused(name: str, fold: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs of a weighted model before and after timm has merged its branches."""
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=3).eval()
    wconv.convert(model, DENSITY)
    batch = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model(batch)
        if fold:
            wconv.fold(model)
        return reparameterize_model(model)(batch), expected


@pytest.mark.filterwarnings("ignore:density for kernel size")
@pytest.mark.parametrize("name", ["repvgg_a0", "repghostnet_050", "fastvit_t8"])
def test_a_folded_model_is_merged_right(name):
    torch.testing.assert_close(*fused(name, fold=True), rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:density for kernel size")
@pytest.mark.parametrize("name", ["repghostnet_050", "fastvit_t8"])
def test_merging_is_refused_where_timm_asks_a_layer(name):
    with pytest.raises(ValueError, match=r"wconv\.fold\(model\) first"):
        fused(name, fold=False)


@pytest.mark.filterwarnings("ignore:density for kernel size")
def test_merging_without_folding_is_wrong_where_it_does_not():
    """So the pages say: fold first. If this fails, timm has changed, and they may say something better."""
    output, expected = fused("repvgg_a0", fold=False)
    assert not torch.allclose(output, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", [StdConv2d, StdConv2dSame, ScaledStdConv2d, ScaledStdConv2dSame])
def test_a_standardised_kernel_has_no_start_step_or_decay_of_its_own(kind):
    """Folded it would lose its standardisation, and be compared with layers that have it."""
    from wconv.experiment.tasks.ablation import ablation
    from wconv.experiment.tasks.arms import scaled_init

    parts = ("none", False, False)
    for arm in (scaled_init, lambda model, density: ablation(model, density, *parts)):
        with pytest.raises(ValueError, match=rf"^0 is a {kind.__name__}, which standardises its kernel"):
            arm(nn.Sequential(kind(3, 4, 3)), {"k3": [0.7]})
        assert isinstance(arm(nn.Sequential(Conv2dSame(3, 4, 3)), {"k3": [0.7]})[0], nn.Conv2d)
