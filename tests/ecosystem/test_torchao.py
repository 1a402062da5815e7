"""torchao: what it quantises, and where a weighted convolution stays as it is."""

import copy

import pytest
import torch
from torch import nn

import wconv
from tests.ecosystem.common import images

pytest.importorskip("torchao")
from torchao.quantization import Int8WeightOnlyConfig, quantize_

pytestmark = pytest.mark.ecosystem


def network(trainable: bool = False) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten(), nn.Linear(128, 32))
    return wconv.convert(model, {3: [0.7]}, trainable=trainable).eval()


@pytest.mark.parametrize("trainable", [False, True])
def test_linear_layers_are_quantised_beside_weighted_convolutions(trainable):
    model = network(trainable)
    before = model(images())
    folded = wconv.fold(copy.deepcopy(model))
    for each in (model, folded):
        quantize_(each, Int8WeightOnlyConfig())
    assert torch.equal(model(images()), folded(images()))
    assert not torch.equal(model(images()), before)
    assert (model(images()) - before).abs().max() < 0.02 * before.abs().max()


def test_a_quantised_weight_is_not_multiplied_in_silence():
    model = network()
    quantize_(model, Int8WeightOnlyConfig(), filter_fn=lambda module, name: isinstance(module, nn.Conv2d))
    with pytest.raises(NotImplementedError, match="mul"):
        model(images())


@pytest.mark.filterwarnings("ignore")
def test_quantisation_by_export_gives_what_it_gives_for_the_folded_network():
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    outputs = []
    for model in (network(), wconv.fold(network())):
        quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(torch.export.export(model, (images(),)).module(), quantizer)
        prepared(images())
        outputs.append(convert_pt2e(prepared)(images()))
    expected = network()(images())
    for output in outputs:
        assert (output - expected).abs().max() < 0.05 * expected.abs().max()
