"""Convolutions of other people: which are converted, how, and what is said of the others."""

import copy
import pickle
import warnings

import pytest
import torch
import torchvision
from torch import nn

import wconv
from wconv import WeightedConv2d, WeightedConv3d
from wconv.modules import Weighted

PHI = torch.outer(*(torch.tensor([0.7, 1, 0.7], dtype=torch.float64),) * 2).float()


class Named(nn.Conv2d):
    """Convolves as its base does; another constructor, and a method of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, bias=False)

    def area(self) -> int:
        return self.kernel_size[0] * self.kernel_size[1]


class NamedAgain(Named):
    pass


class Flipped(nn.Conv2d):
    def forward(self, input):
        return super().forward(input.flip(-1))


class Shifted(nn.Conv2d):
    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, weight, bias) + 1


class WeightedShifted(WeightedConv2d, Shifted):
    plain = Shifted


class WeightedFlipped(WeightedConv2d, Flipped):
    plain = Flipped

    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input.flip(-1), weight, bias)


class Cosine(nn.Module):
    """A convolution that is none of torch.nn's."""

    def __init__(self, kernel_size):
        super().__init__()
        self.kernel_size = kernel_size
        self.weight = nn.Parameter(torch.ones(1, 1, 3, 3))


class OwnConv(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, 1, 3, 5))


def images(channels: int = 2) -> torch.Tensor:
    return torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", [Named, NamedAgain])
@pytest.mark.parametrize("trainable", [False, True])
def test_a_subclass_that_convolves_as_its_base_is_converted_and_stays_one(kind, trainable):
    layer = kind(2)
    expected = nn.functional.conv2d(images(), layer.weight * PHI)
    model = wconv.convert(nn.Sequential(layer), {3: [0.7]}, trainable=trainable)
    assert model[0] is layer
    assert isinstance(layer, WeightedConv2d)
    assert isinstance(layer, kind)
    assert layer.area() == 9
    weighted, table = type(layer), str(wconv.summary(model))
    for each in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(each(images()), expected)
        assert type(each[0]) is weighted
        assert str(wconv.summary(each)) == table
        assert type(wconv.fold(each)[0]) is kind
        torch.testing.assert_close(each(images()), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.*is deprecated")
def test_a_converted_subclass_is_scripted_compiled_and_exported():
    model = wconv.convert(nn.Sequential(Named(2)), {3: [0.7]})
    assert torch.equal(torch.jit.script(model)(images()), model(images()))
    assert torch.equal(torch.compile(model, backend="eager", fullgraph=True)(images()), model(images()))
    assert torch.equal(torch.export.export(model, (images(),)).module()(images()), model(images()))


def test_videos_of_torchvision():
    torch.manual_seed(0)
    model = torchvision.models.video.r3d_18(num_classes=3).eval()
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    cubes = [module for module in convolutions if module.kernel_size == (3, 3, 3)]
    wconv.convert(model, {3: [0.7]})
    assert len(cubes) == 16
    assert all(isinstance(module, WeightedConv3d) for module in cubes)
    batch = torch.randn(1, 3, 4, 16, 16)
    expected = model(batch)
    assert torch.equal(wconv.fold(model)(batch), expected)
    assert type(cubes[0]).__name__ == "Conv3DSimple"


def mixture() -> nn.Sequential:
    return nn.Sequential(
        Flipped(2, 2, 3), Flipped(2, 2, 3), Flipped(2, 2, 5), Shifted(2, 2, 3), nn.ConvTranspose2d(2, 2, 3),
        Cosine(3), OwnConv(), nn.Conv2d(2, 2, 3),
    )  # fmt: skip


def test_one_warning_counts_and_names_what_is_left_alone():
    model = mixture()
    with pytest.warns(UserWarning, match="convolution") as caught:
        wconv.convert(model, {3: [0.7], 5: [0.2, 0.8], 7: [0.1, 0.2, 0.3]}, exclude="4")
    assert [str(warning.message) for warning in caught] == [
        "density for kernel size 7: the model has no such convolution",
        "5 convolutions have a kernel size with a density and are left alone, since their classes convolve in their "
        "own way: Flipped (3), Shifted (1), Cosine (1). Exclude them, or say how to convert them with subclasses=",
    ]
    assert all(warning.filename == __file__ for warning in caught)
    notes = {layer.name: (layer.kernel_size, layer.note) for layer in wconv.summary(model)}
    alone = "{} is a class of its own and left alone".format
    assert notes == {
        "0": ((3, 3), alone("Flipped")), "1": ((3, 3), alone("Flipped")), "2": ((5, 5), alone("Flipped")),
        "3": ((3, 3), alone("Shifted")), "4": ((3, 3), "left out by include or exclude"),
        "5": ((3, 3), alone("Cosine")), "6": ((3, 5), "no density for this kernel size"), "7": ((3, 3), ""),
    }  # fmt: skip
    lines = str(wconv.summary(model)).splitlines()
    assert lines[-2:] == [
        "density for kernel size 5: all such convolutions are of classes that are left alone",
        "density for kernel size 7: the model has no such convolution",
    ]


def test_a_second_conversion_beside_a_layer_left_alone_says_that_densities_are_kept():
    model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.ConvTranspose2d(2, 2, 3))
    with pytest.warns(UserWarning, match="1 convolution has"):
        wconv.convert(model, {3: [0.7]})
    with pytest.warns(UserWarning, match="weighted already|left alone") as caught:
        wconv.convert(model, {3: [0.9]})
    kept, alone = (str(warning.message) for warning in caught)
    assert "weighted already and keep their density" in kept
    assert "ConvTranspose2d (1)" in alone
    assert "weighted already and keep their density" in str(wconv.summary(model))


def test_what_is_excluded_is_not_called_missing():
    with pytest.warns(UserWarning, match="all such convolutions are .* left out by include or exclude") as caught:
        wconv.convert(nn.Sequential(nn.Conv2d(2, 2, 3)), {3: [0.7]}, include="features.*")
    assert len(caught) == 1


@pytest.mark.parametrize("module", [nn.MaxPool2d(3), nn.Unfold(3), nn.Linear(3, 3), nn.LazyLinear(3), nn.LayerNorm(3)])
def test_what_is_no_convolution_is_not_listed(module):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [layer.name for layer in wconv.summary(wconv.convert(nn.Sequential(module, Named(2)), {3: [0.7]}))] == [
            "1"
        ]


def test_the_user_says_how():
    model = nn.Sequential(Flipped(2, 2, 3), Shifted(2, 2, 3), Flipped(2, 2, 1))
    first = nn.functional.conv2d(images().flip(-1), model[0].weight * PHI, model[0].bias)
    second = nn.functional.conv2d(first, model[1].weight * PHI, model[1].bias) + 1
    expected = model[2](second)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        wconv.convert(model, {3: [0.7]}, subclasses={Flipped: WeightedFlipped, Shifted: WeightedShifted})
    assert [type(layer) for layer in model] == [WeightedFlipped, WeightedShifted, Flipped]
    torch.testing.assert_close(model(images()), expected)
    assert [type(layer) for layer in wconv.fold(model)] == [Flipped, Shifted, Flipped]
    torch.testing.assert_close(model(images()), expected)


@pytest.mark.parametrize("becomes", [Flipped, WeightedConv2d, WeightedShifted])
def test_a_class_that_cannot_be_meant_is_refused(becomes):
    model = nn.Sequential(Flipped(2, 2, 3))
    with pytest.raises(ValueError, match=r"subclasses\[Flipped\] is .*: expected a class below both Flipped"):
        wconv.convert(model, {3: [0.7]}, subclasses={Flipped: becomes})
    assert type(model[0]) is Flipped


def test_a_forward_that_was_put_on_a_layer_is_refused():
    """Hooks of accelerate do that; the old forward would go on without a density."""
    model = nn.Sequential(nn.Conv2d(2, 2, 3))
    old = model[0].forward
    model[0].forward = lambda input: old(input)
    with pytest.raises(ValueError, match=r"layer '0' has a forward of its own.*convert first"):
        wconv.convert(model, {3: [0.7]})
    model[0].forward = old  # as accelerate does when it takes its hook off
    plain = model(images())
    wconv.convert(model, {3: [0.7]})
    assert not torch.equal(model(images()), plain)
    old = model[0].forward
    model[0].forward = lambda input: old(input)
    with pytest.raises(ValueError, match=r"layer '0' has a forward of its own.*then fold"):
        wconv.fold(model)
    assert isinstance(model[0], Weighted)


def test_whether_a_model_is_folded():
    model = nn.Sequential(nn.Conv2d(2, 2, 3), Named(2))
    assert wconv.is_folded(model)
    assert not wconv.is_folded(wconv.convert(model, {3: [0.7]}, include="1"))
    assert wconv.is_folded(wconv.fold(model))
    assert not wconv.is_folded(WeightedConv2d(1, 1, 3))
