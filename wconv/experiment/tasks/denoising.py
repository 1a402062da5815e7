"""The denoising task: noise, losses and metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from wconv.experiment.common.metrics import TASKS
from wconv.experiment.tasks.density_recipe import DensityRecipe
from wconv.experiment.tasks.image_quality import psnr, ssim
from wconv.experiment.tasks.network import inference_copy
from wconv.experiment.tasks.noise import GaussianNoise
from wconv.experiment.tasks.pass_metrics import MeanLoss
from wconv.experiment.tasks.task import Task
from wconv.experiment.tasks.tiles import denoise_tiled

if TYPE_CHECKING:
    import pandas as pd

LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "l2": F.mse_loss,
    "charbonnier": lambda denoised, clean: ((denoised - clean).square() + 1e-6).sqrt().mean(),
    # The loss of NAFNet: the negative PSNR of each image, in dB.
    "psnr": lambda denoised, clean: 10 * ((denoised - clean).square().mean((1, 2, 3)) + 1e-8).log10().mean(),
}


class Denoising(Task):
    """Train a network to remove white Gaussian noise from images.

    Args:
        model: maps noisy images (N, C, H, W) to denoised ones.
        optimizer: creates the optimiser for given parameters.
        scheduler: creates the learning-rate schedule for an optimiser and `total_steps`.
        seed: of the run; it determines the training noise.
        sigma: standard deviation of the noise (0-255 scale); or [low, high]: drawn per image, evaluated at midpoint.
        clip_noisy: whether noisy images are clipped at black and white.
        loss: one of LOSSES.
        test_seed: of the noise in evaluation.
        max_pixels: larger images are denoised in tiles.
        density: recipe for trained densities; None if there are none.

    Raises:
        ValueError: there is no such loss.
    """

    monitor = TASKS["denoising"].monitor
    mode = TASKS["denoising"].mode

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        seed: int,
        sigma: float | Sequence[float],
        clip_noisy: bool,
        loss: str,
        test_seed: int,
        max_pixels: int,
        density: DensityRecipe | None = None,
    ) -> None:
        super().__init__(model, optimizer, scheduler, density)
        self.seed = seed
        self.noise = GaussianNoise(sigma, clip_noisy)
        if loss not in LOSSES:
            raise ValueError(f"task.loss={loss}: expected one of {', '.join(LOSSES)}")
        self.loss = LOSSES[loss]
        self.test_seed = test_seed
        self.max_pixels = max_pixels
        self.train_loss = MeanLoss()
        self.rows: list[dict[str, Any]] = []
        self.images: pd.DataFrame  # results of the last evaluation, one row per image

    @property
    def definitions(self) -> Mapping[str, str]:
        """Definitions of the metrics."""
        level = f"white Gaussian noise of standard deviation {self.noise.level:g} of 255"
        return TASKS["denoising"].definitions | {
            "noise": f"{level}, {'clipped' if self.noise.clip else 'not clipped'}, from (task.test_seed, position of "
            "the image in the sorted list of its set)",
            "tiled": "number of test images that were denoised in tiles, where that is an approximation",
            "macs": "multiply-accumulates of an image of 256x256 pixels",
        }

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        clean: Tensor = batch.clean
        noisy = self.noise.add_training_noise(clean, self.seed, self.current_epoch, batch_idx, self.global_rank)
        loss = self.loss(self.model(noisy), clean)
        self.train_loss.update(loss, len(clean))
        return loss

    def on_test_start(self) -> None:
        """Fold densities and batch normalisations into the kernels of a copy, for faster inference."""
        self.test_network = (inference_copy(self.model),)  # in a tuple: it must not become a submodule

    def validation_step(self, frame: Any, batch_idx: int) -> None:
        """Denoise a held-out image."""
        _, denoised, _ = self._denoise(self.model, frame)
        self.rows.append({"set": frame.set_name, "position": frame.position, "psnr": psnr(denoised, frame.clean)})

    def test_step(self, frame: Any, batch_idx: int) -> Mapping[str, Tensor]:
        """Denoise a test image; return it noisy and denoised."""
        noisy, denoised, approximate = self._denoise(self.test_network[0], frame)
        self.rows.append(
            {
                "set": frame.set_name,
                "position": frame.position,
                "image": frame.name,
                "sigma": self.noise.level,
                "psnr": psnr(denoised, frame.clean),
                "ssim": ssim(denoised, frame.clean),
                "noisy_psnr": psnr(noisy, frame.clean),
                "tiled": approximate,
            }
        )
        return {"noisy": noisy, "denoised": denoised}

    def on_validation_epoch_end(self) -> None:
        """Log training and validation metrics together."""
        scores = self._scores("val")
        if self.trainer.sanity_checking:
            return
        if self.train_loss.update_called:
            scores["train/loss"] = self.train_loss.compute()
            self.train_loss.reset()
        self.log_epoch(scores)

    def on_test_epoch_end(self) -> None:
        """Log the means over all images, and over each test set if there are several."""
        self.log_dict(self._scores("test"))

    def _denoise(self, model: nn.Module, frame: Any) -> tuple[Tensor, Tensor, bool]:
        noisy = self.noise.add_test_noise(frame.clean, self.test_seed, frame.position)
        denoised, approximate = denoise_tiled(model, noisy, self.max_pixels)
        return noisy, denoised.float().clamp(0, 1), approximate

    def _scores(self, prefix: str) -> dict[str, Tensor]:
        """Gather the images of all processes into `images`, in order, and return their means."""
        import pandas as pd  # here, so that it does not delay the start of training

        gathered: list[Any] = [self.rows]
        if self.trainer.world_size > 1:
            gathered = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, self.rows)
        self.rows = []
        self.images = pd.DataFrame([row for rows in gathered for row in rows]).sort_values(["set", "position"])
        measured = [name for name in TASKS["denoising"].metrics if name in self.images]
        # A NaN image must make the mean NaN, not be skipped.
        scores = {f"{prefix}/{name}": self.images[name].mean(skipna=False) for name in measured}
        by_set = self.images.groupby("set")[measured].mean(skipna=False)
        if len(by_set) > 1:
            scores |= {
                f"{prefix}/{name}/{metric}": by_set.loc[name, metric] for name in by_set.index for metric in measured
            }
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in scores.items()}
