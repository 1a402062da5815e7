"""Tiles: what comes out is what the whole image would give, in so much memory and no more."""

import math

import pytest
import torch
from torch import Tensor, nn

import wconv
from models.dncnn import DnCNN
from models.nafnet import NAFNet
from wconv.experiment.tasks.tiles import OVERLAP, denoise_tiled


def dncnn(kernel_size: int = 3, weighted: bool = False) -> nn.Module:
    """Return one whose every layer matters, and whose border pixels differ from the others."""
    torch.manual_seed(0)
    model = DnCNN(1, depth=4, width=6, kernel_size=kernel_size)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.02, 0.2)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    density = {3: [0.7], 5: [0.2, 0.8]}[kernel_size]
    return (wconv.convert(model, {kernel_size: density}) if weighted else model).eval()


class Recorder(nn.Module):
    """Keep the sizes of what a model was asked for."""

    def __init__(self, model: nn.Module, context: int | None) -> None:
        super().__init__()
        self.model = model
        self.context = context
        self.pixels: list[int] = []

    def forward(self, noisy: Tensor) -> Tensor:
        self.pixels.append(noisy.shape[-2] * noisy.shape[-1])
        return self.model(noisy)


@torch.inference_mode()
def difference(model: nn.Module, height: int, width: int, max_pixels: int) -> float:
    noisy = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(0))
    tiled, approximate = denoise_tiled(model, noisy, max_pixels)
    assert tiled.shape == noisy.shape
    assert approximate == (model.context is None)
    return float((tiled - model(noisy)).abs().max())


@pytest.mark.parametrize("size", [(64, 64), (37, 53), (23, 97), (101, 30), (8, 90), (1, 700)])
@pytest.mark.parametrize(("kernel_size", "weighted"), [(3, False), (5, False), (3, True), (5, True)])
def test_tiles_of_a_dncnn_give_what_the_whole_image_gives(kernel_size, weighted, size):
    model = dncnn(kernel_size, weighted)
    assert model.context == 4 * (kernel_size // 2)
    assert difference(model, *size, max_pixels=23**2) < 1e-4
    assert difference(model, *size, max_pixels=1) < 1e-4


@pytest.mark.parametrize("kernel_size", [3, 5])
def test_less_overlap_would_show(kernel_size):
    """So the test above can fail."""
    model = dncnn(kernel_size)
    assert difference(Recorder(model, model.context - 1), 64, 64, max_pixels=23**2) > 1e-4


@pytest.mark.parametrize("side", [24, 31, 40])
@pytest.mark.parametrize("size", [(64, 64), (37, 53), (41, 40), (23, 97), (1, 5000)])
def test_no_tile_has_more_pixels_than_allowed(size, side):
    model = Recorder(nn.Identity(), context=8)  # three overlaps fit
    difference(model, *size, max_pixels=side**2)
    assert max(model.pixels[:-1]) <= side**2  # the last is the whole image, to compare with
    # Nor are they needlessly small.
    inner = side - 2 * model.context
    assert len(model.pixels) - 1 <= math.ceil(size[0] / inner) * math.ceil(size[1] / inner)


def test_a_limit_below_the_overlap_is_passed_by_as_little_as_makes_sense():
    model = Recorder(nn.Identity(), context=8)
    difference(model, 64, 64, max_pixels=1)
    assert max(model.pixels[:-1]) == (3 * 8) ** 2


def test_an_image_that_fits_is_not_cut():
    model, steps = Recorder(nn.Identity(), context=8), []
    _, approximate = denoise_tiled(model, torch.rand(1, 3, 20, 30), 600, lambda *step: steps.append(step))
    assert (model.pixels, approximate, steps) == ([600], False, [])


def test_every_tile_is_reported():
    model, steps = Recorder(nn.Identity(), context=2), []
    denoise_tiled(model, torch.rand(1, 1, 25, 31), 14**2, lambda *step: steps.append(step))  # 10 pixels a tile and side
    assert steps == [(done, 12) for done in range(1, 13)]
    assert len(model.pixels) == 12


@torch.inference_mode()
def test_a_nafnet_says_that_its_tiles_are_an_approximation():
    torch.manual_seed(0)
    model = NAFNet(1, width=4, encoder=[1, 1], middle=1, decoder=[1, 1]).eval()
    for name, value in model.named_parameters():
        if name.endswith(("beta", "gamma")):  # they start at 0, where every block is the identity
            nn.init.constant_(value, 0.5)
    noisy = torch.rand(1, 1, 150, 170)
    whole, approximate = denoise_tiled(model, noisy, 150 * 170)
    assert not approximate
    tiled, approximate = denoise_tiled(model, noisy, (3 * OVERLAP) ** 2)
    assert approximate
    assert tiled.shape == whole.shape
    assert 1e-5 < float((tiled - whole).abs().max()) < 0.1  # the means of a tile are not those of the image


def test_tiles_keep_type_and_channels():
    noisy = torch.rand(1, 3, 40, 40, dtype=torch.float64)
    tiled, _ = denoise_tiled(Recorder(nn.Identity(), context=1), noisy, 100)
    assert torch.equal(tiled, noisy)
