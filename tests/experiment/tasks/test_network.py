"""The copy of a network that is evaluated."""

import pytest
import torch
from torch import nn

import wconv
from models.dncnn import DnCNN
from models.nafnet import NAFNet
from models.resnet import ResNet
from wconv.experiment.tasks.network import inference_copy

NETWORKS = {
    "dncnn": (lambda: DnCNN(1, depth=5, width=8), (1, 1, 17, 20)),
    "dncnn without batch norm": (lambda: DnCNN(1, depth=5, width=8, batch_norm=False), (1, 1, 17, 20)),
    "nafnet": (lambda: NAFNet(1, 4, [1], 1, [1]), (1, 1, 17, 20)),
    "resnet": (lambda: ResNet(10, depth=20), (2, 3, 32, 32)),
}


@pytest.mark.parametrize("name", NETWORKS)
@torch.no_grad()
def test_a_copy_for_inference_computes_the_same_without_densities_and_batch_norms(name):
    make, shape = NETWORKS[name]
    model = wconv.convert(make(), {3: [0.7]})
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            layer.running_var.uniform_(0.5, 2)
            layer.weight.uniform_(0.5, 2)
            layer.bias.uniform_(-1, 1)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    images = torch.rand(shape)
    quick = inference_copy(model)
    torch.testing.assert_close(quick(images), model.eval()(images), rtol=1e-4, atol=1e-4)
    assert wconv.is_folded(quick)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in quick.modules())
    assert not wconv.is_folded(model)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
