"""The widespread ResNet files for CIFAR: the same logits as the network that they were made with."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.resnet import ResNet


class Theirs(nn.Module):
    """The paper's CIFAR network, by the names that its widespread files have; shortcut A, or B with its own name."""

    def __init__(self, blocks: int, classes: int, last: str = "linear", convolutional: str = "") -> None:
        super().__init__()
        self.convolutional = convolutional
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        before = 16
        for stage, width in enumerate((16, 32, 64), 1):
            layers = nn.Sequential()
            for block in range(blocks):
                stride = 2 if stage > 1 and block == 0 else 1
                layers.append(self.block(before, width, stride))
                before = width
            self.add_module(f"layer{stage}", layers)
        self.last = last
        self.add_module(last, nn.Linear(64, classes))

    def block(self, before: int, width: int, stride: int) -> nn.Module:
        block = nn.Module()
        block.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        block.bn1 = nn.BatchNorm2d(width)
        block.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        block.bn2 = nn.BatchNorm2d(width)
        if self.convolutional and stride > 1:
            shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))
            block.add_module(self.convolutional, shortcut)
        return block

    def forward(self, images: Tensor) -> Tensor:
        features = self.bn1(self.conv1(images)).relu()
        for layers in (self.layer1, self.layer2, self.layer3):
            for block in layers:
                inner = block.bn2(block.conv2(block.bn1(block.conv1(features)).relu()))
                if inner.shape != features.shape:
                    quarter = inner.shape[1] // 4
                    features = F.pad(features[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
                features = (inner + features).relu()
        pooled = F.avg_pool2d(features, features.shape[3]).flatten(1)
        return getattr(self, self.last)(pooled)


def theirs(depth: int, classes: int = 10, **options: str) -> Theirs:
    """Return such a network with random weights, and averages as after a training."""
    torch.manual_seed(depth)
    model = Theirs((depth - 2) // 6, classes, **options).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.1)
            for values in (layer.running_var, layer.weight):
                nn.init.uniform_(values, 0.5, 1.5)
            nn.init.normal_(layer.bias, std=0.1)
    return model


@pytest.mark.parametrize("prefix", ["", "module.", "model._orig_mod."])
@pytest.mark.parametrize("last", ["linear", "fc"])
@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110])
def test_logits_are_those_of_the_network_that_the_file_is_of(depth, last, prefix):
    expected = theirs(depth, last=last)
    # Files from before PyTorch 0.4.1 have no counts of batches.
    state = {prefix + name: value for name, value in expected.state_dict().items() if "num_batches" not in name}
    ours = ResNet(10, depth=depth)
    assert ours.load_published(state) == 10
    images = torch.randn(3, 3, 32, 32)
    with torch.no_grad():
        logits = expected(images)
        torch.testing.assert_close(ours.eval()(images), logits, rtol=1e-5, atol=1e-5 * logits.abs().max().item())


def test_our_own_names_are_read_too():
    model = ResNet(10, depth=18, width=0.1)
    again = ResNet(10, depth=18, width=0.1)
    assert again.load_published(model.state_dict()) == 10
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_the_large_family_has_shortcuts_of_two_names():
    model = ResNet(10, depth=50, width=0.1)
    names = {"body.0.0": "conv1", "body.2.0": "conv2", "body.4.0": "conv3"}
    names |= {f"body.{2 * n}.1": f"bn{n + 1}" for n in range(3)}
    for shortcut in ("shortcut", "downsample"):
        state = {}
        starts = [0, 3, 7, 13, 16]
        for name, value in model.state_dict().items():
            if name.startswith("blocks"):
                _, index, inner = name.split(".", 2)
                stage = max(stage for stage in range(4) if starts[stage] <= int(index))
                path, leaf = inner.rsplit(".", 1)
                path = names.get(path, path.replace("shortcut", shortcut))
                name = f"layer{stage + 1}.{int(index) - starts[stage]}.{path}.{leaf}"
            state[name.replace("stem.0", "conv1").replace("stem.1", "bn1").replace("classifier", "fc")] = value
        again = ResNet(10, depth=50, width=0.1)
        again.load_published(state)
        assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())


def test_a_classifier_for_other_classes_stays_as_it_was():
    ours = ResNet(100, depth=20)
    before = ours.classifier.weight.clone()
    state = theirs(20).state_dict()
    assert ours.load_published(state) == 10
    assert torch.equal(ours.classifier.weight, before)
    assert torch.equal(ours.stem[0].weight, state["conv1.weight"])


STATE = theirs(20).state_dict()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "no weights of a ResNet .*found nothing"),
        ({"dncnn.0.weight": torch.ones(1, 1, 3, 3)}, "found dncnn.0.weight"),
        (theirs(32).state_dict(), r"5\+5\+5 blocks, and the network 3\+3\+3"),
        (theirs(20, convolutional="shortcut").state_dict(), "blocks.3.shortcut.0.weight is none of its weights"),
        ({**STATE, "conv1.weight": torch.ones(16, 3, 7, 7)}, "size mismatch for stem.0.weight"),
        ({**STATE, "layer1.0.conv1.weight": 3}, "size mismatch for blocks.0.body.0.0.weight: int"),
        ({name: value for name, value in STATE.items() if name != "bn1.bias"}, "there is no stem.1.bias"),
        ({**STATE, "layer2.1.se.weight": torch.ones(1)}, "blocks.4.se.weight is none of its weights"),
    ],
)
def test_other_weights_are_refused_and_nothing_is_loaded(state, message):
    ours = ResNet(10, depth=20)
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        ours.load_published(state)
    assert all(torch.equal(value, before[name]) for name, value in ours.state_dict().items())
