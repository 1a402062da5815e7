"""The denoising task: what is minimised and what is measured."""

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
    # As NAFNet is trained: in dB, for each image, with the sign that makes it a loss.
    "psnr": lambda denoised, clean: 10 * ((denoised - clean).square().mean((1, 2, 3)) + 1e-8).log10().mean(),
}


class Denoising(Task):
    """Train a network to take white Gaussian noise off images.

    Args:
        model: maps noisy images (N, C, H, W) to denoised ones.
        optimizer: makes the optimiser of given parameters.
        scheduler: makes the learning-rate schedule of an optimiser and `total_steps`.
        seed: of the run; the training noise follows from it.
        sigma: standard deviation of the noise, of 255; or [low, high]: drawn for each image, evaluated at the middle.
        clip_noisy: whether noisy images are cut off at black and white.
        loss: one of LOSSES.
        test_seed: of the noise that is evaluated on.
        max_pixels: larger images are denoised in tiles.
        density: how trained densities learn; None where there are none.

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
        self.images: pd.DataFrame  # what the last pass over whole images measured, a row each

    @property
    def definitions(self) -> Mapping[str, str]:
        """What the metrics mean."""
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
        """Put densities and batch normalisations into the kernels; no network is trained any more."""
        self.test_network = (inference_copy(self.model),)  # in a tuple: it is no part of what is saved

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
        """Log training and validation together."""
        scores = self._scores("val")
        if self.trainer.sanity_checking:
            return
        if self.train_loss.update_called:
            scores["train/loss"] = self.train_loss.compute()
            self.train_loss.reset()
        self.log_epoch(scores)

    def on_test_epoch_end(self) -> None:
        """Log the means over the images: of all, and of each set where there are several."""
        self.log_dict(self._scores("test"))

    def _denoise(self, model: nn.Module, frame: Any) -> tuple[Tensor, Tensor, bool]:
        noisy = self.noise.add_test_noise(frame.clean, self.test_seed, frame.position)
        denoised, approximate = denoise_tiled(model, noisy, self.max_pixels)
        return noisy, denoised.float().clamp(0, 1), approximate

    def _scores(self, prefix: str) -> dict[str, Tensor]:
        """Gather the images of all processes into `images`, in order, and return their means."""
        import pandas as pd  # here: a run trains before it needs it

        gathered: list[Any] = [self.rows]
        if self.trainer.world_size > 1:
            gathered = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, self.rows)
        self.rows = []
        self.images = pd.DataFrame([row for rows in gathered for row in rows]).sort_values(["set", "position"])
        measured = [name for name in TASKS["denoising"].metrics if name in self.images]
        # An image that came out as NaN must not vanish from the mean.
        scores = {f"{prefix}/{name}": self.images[name].mean(skipna=False) for name in measured}
        by_set = self.images.groupby("set")[measured].mean(skipna=False)
        if len(by_set) > 1:
            scores |= {
                f"{prefix}/{name}/{metric}": by_set.loc[name, metric] for name in by_set.index for metric in measured
            }
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in scores.items()}
