"""The denoising task: losses and metrics against other implementations, and what it makes of a set of images."""

import math
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.utils.data import DataLoader

from datamodules.batching.patches import EvaluationImage, Patches
from wconv.experiment.tasks.denoising import LOSSES, Denoising, psnr, ssim
from wconv.experiment.tasks.noise import GaussianNoise


def task(model: nn.Module | None = None, **options) -> Denoising:
    chosen = {"seed": 0, "sigma": 25, "clip_noisy": False, "loss": "l2", "test_seed": 0, "max_pixels": 10**6}
    return Denoising(model or nn.Identity(), partial(torch.optim.SGD, lr=0.1), None, **chosen | options)


class Erring(nn.Module):
    """Add so much to every image."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.error = nn.Parameter(torch.tensor(error))

    def forward(self, noisy: Tensor) -> Tensor:
        return noisy + self.error


def frame(
    position: int = 0, set_name: str = "set", size: tuple[int, int] = (16, 20), channels: int = 1
) -> EvaluationImage:
    generator = torch.Generator().manual_seed(position)
    return EvaluationImage(torch.rand(1, channels, *size, generator=generator), set_name, position, f"{position}.png")


def run_test(denoising: Denoising, frames: list[EvaluationImage], **options) -> dict[str, float]:
    """Run the test loop over some frames."""
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False, **options
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (scores,) = trainer.test(denoising, DataLoader(frames, batch_size=None), verbose=False)
    return scores


KINDS = {
    "noise": lambda clean, noise: (clean, (clean + 0.1 * noise).clip(0, 1)),
    "nearly flat": lambda clean, noise: (0.5 + 1e-4 * clean, 0.5 + 1e-4 * clean + 1e-5 * noise),
    "nearly the same": lambda clean, noise: (clean, clean + 1e-6 * noise),
    "flat against noise": lambda clean, noise: (0 * clean, (0.2 * noise).clip(0, 1)),
    "black and white": lambda clean, noise: (clean.round(), (1 - clean).round()),
    "out of range": lambda clean, noise: (clean, clean + noise),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 40, 52), (3, 33, 24), (3, 11, 11)])
def test_metrics_are_those_of_scikit_image(kind, channels, height, width):
    random = np.random.default_rng(0)
    arrays = KINDS[kind](random.random((channels, height, width)), random.standard_normal((channels, height, width)))
    clean, image = (array.astype(np.float32) for array in arrays)
    tensors = (torch.from_numpy(image)[None], torch.from_numpy(clean)[None])
    exact = (clean.astype(np.float64), image.astype(np.float64))
    assert psnr(*tensors) == pytest.approx(peak_signal_noise_ratio(*exact, data_range=1), abs=1e-4)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    expected = structural_similarity(*exact, data_range=1, channel_axis=0, **gaussian)
    assert ssim(*tensors) == pytest.approx(expected, abs=1e-5)


def test_an_image_that_is_right_to_the_last_bit():
    image = torch.rand(1, 3, 16, 16)
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1)


FORMULAS = {
    "l1": lambda error: abs(error).mean(),
    "l2": lambda error: (error**2).mean(),
    "charbonnier": lambda error: np.sqrt(error**2 + 1e-3**2).mean(),
    "psnr": lambda error: np.mean([10 * np.log10((image**2).mean() + 1e-8) for image in error]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_what_they_are_called(name):
    denoised, clean = torch.rand(2, 5, 3, 8, 8, dtype=torch.float64)
    denoised[1] = clean[1] + 1e-3  # one is nearly right: the PSNR is the mean of the images' and not of all pixels
    assert float(LOSSES[name](denoised, clean)) == pytest.approx(FORMULAS[name]((denoised - clean).numpy()), rel=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_slopes_where_nothing_is_wrong(name):
    clean = torch.rand(2, 1, 8, 8)
    denoised = clean.clone().requires_grad_()
    LOSSES[name](denoised, clean).backward()
    assert bool(denoised.grad.isfinite().all())


@pytest.mark.parametrize("loss", LOSSES)
def test_a_training_step_takes_the_noise_of_its_key(loss):
    denoising = task(Erring(0.25), seed=3, sigma=[0, 55], loss=loss)
    denoising._trainer = SimpleNamespace(current_epoch=2, global_rank=1)
    clean = torch.rand(4, 1, 16, 16)
    found = denoising.training_step(Patches(clean, torch.zeros(4)), 5)
    noisy = GaussianNoise([0, 55]).add_training_noise(clean, 3, 2, 5, 1)
    found = float(found.detach())
    assert found == pytest.approx(float(LOSSES[loss](noisy + 0.25, clean)))
    assert float(denoising.train_loss.compute()) == pytest.approx(found)


@pytest.mark.parametrize("clip", [False, True])
def test_every_image_is_measured_clamped_and_its_noisy_one_as_it_is(clip):
    frames = [frame(position, size=(16 + position, 20), channels=3) for position in range(3)]
    denoising = task(Erring(0.1), clip_noisy=clip, test_seed=4)
    scores = run_test(denoising, frames)
    rows = denoising.images
    assert rows[["set", "position", "image", "sigma"]].to_numpy().tolist() == [
        ["set", position, f"{position}.png", 25] for position in range(3)
    ]
    for row, given in zip(rows.to_dict("records"), frames, strict=True):
        noisy = GaussianNoise(25, clip).add_test_noise(given.clean, 4, given.position)
        denoised = (noisy + 0.1).clamp(0, 1)
        assert row["noisy_psnr"] == psnr(noisy, given.clean)
        assert row["psnr"] == psnr(denoised, given.clean)
        assert row["ssim"] == ssim(denoised, given.clean)
    for name in ("psnr", "ssim", "noisy_psnr"):  # the mean of the images, however large each is
        assert scores[f"test/{name}"] == pytest.approx(rows[name].mean(), rel=1e-7)


def test_sets_have_means_of_their_own_and_all_images_count_the_same():
    frames = [frame(0, "few"), *(frame(position, "many") for position in range(3))]
    denoising = task(test_seed=1)
    scores = run_test(denoising, frames)
    rows = denoising.images
    assert scores["test/psnr"] == pytest.approx(rows["psnr"].mean(), rel=1e-7)
    assert scores["test/few/psnr"] == pytest.approx(rows["psnr"][rows["set"] == "few"].mean(), rel=1e-7)
    assert scores["test/many/ssim"] == pytest.approx(rows["ssim"][rows["set"] == "many"].mean(), rel=1e-7)
    assert rows["noisy_psnr"][0] == pytest.approx(rows["noisy_psnr"][1], rel=1e-6)  # position 0 of either set
    # A second test starts anew.
    assert run_test(denoising, frames) == scores
    assert len(denoising.images) == 4


def test_images_are_listed_in_order_whoever_measured_them():
    frames = [frame(position, name) for name in ("b", "a") for position in (2, 0, 1)]
    denoising = task()
    run_test(denoising, frames)
    assert denoising.images["set"].tolist() == ["a"] * 3 + ["b"] * 3
    assert denoising.images["position"].tolist() == [0, 1, 2] * 2


def test_an_image_that_is_no_number_is_not_passed_over():
    broken = frame(1)
    broken.clean[0, 0, 3, 3] = math.nan
    scores = run_test(task(), [frame(0), broken])
    assert math.isnan(scores["test/psnr"])


@pytest.mark.parametrize(("context", "tiled"), [(1, False), (None, True)])
def test_tiles_are_noted_where_they_are_an_approximation(context, tiled):
    model = Erring(0.0)
    model.context = context
    denoising = task(model, max_pixels=400)
    run_test(denoising, [frame(0, size=(20, 20)), frame(1, size=(40, 40))])
    assert denoising.images["tiled"].tolist() == [False, tiled]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_metrics_do_not_suffer_from_the_precision_of_the_model(precision):
    denoising = task(nn.Conv2d(1, 1, 1, bias=False))
    nn.init.ones_(denoising.model.weight)
    run_test(denoising, [frame(size=(32, 32))], precision=precision)
    clean = frame(size=(32, 32)).clean
    denoised = GaussianNoise(25).add_test_noise(clean, 0, 0)
    if precision == "bf16-mixed":
        denoised = denoised.bfloat16().float()
    assert denoising.images["psnr"][0] == pytest.approx(psnr(denoised.clamp(0, 1), clean), rel=1e-6)


def test_definitions_say_which_noise():
    assert "deviation 27.5 of 255, clipped" in task(sigma=[0, 55], clip_noisy=True).definitions["noise"]
    assert "deviation 25 of 255, not clipped" in task().definitions["noise"]
    assert {"psnr", "ssim", "noisy_psnr", "loss", "selection", "macs"} <= task().definitions.keys()
