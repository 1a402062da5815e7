"""White Gaussian noise, from random streams that can be reproduced for any step."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wconv.experiment.tasks.random_streams import seeded_generator


class GaussianNoise:
    """Noise of one level, or of a range of levels.

    Args:
        sigma: standard deviation (0-255 scale); or [low, high]: drawn for every training image, while evaluation uses
            the midpoint.
        clip: clip noisy images at black and white.
    """

    def __init__(self, sigma: float | Sequence[float], clip: bool = False) -> None:
        self.low, self.high = sigma if isinstance(sigma, Sequence) else (sigma, sigma)
        self.clip = clip

    @property
    def level(self) -> float:
        """The noise level in evaluation."""
        return (self.low + self.high) / 2

    def add_training_noise(self, clean: Tensor, *key: object) -> Tensor:
        """Return clean images (N, C, H, W) in [0, 1] with noise from the stream of a key, drawn on their device."""
        generator = seeded_generator("noise", *key, device=clean.device)
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        part = torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)
        return self._add(clean, noise.mul_(self.low + (self.high - self.low) * part))

    def add_test_noise(self, clean: Tensor, test_seed: int, position: int) -> Tensor:
        """Return an image (1, C, H, W) with the noise of its position in its set, the same for every model."""
        noise = torch.randn(clean.shape, generator=seeded_generator("test noise", test_seed, position))
        return self._add(clean, noise.mul_(self.level).to(clean.device))

    def _add(self, clean: Tensor, noise: Tensor) -> Tensor:
        noisy = noise.div_(255).add_(clean)  # in place: the noise is used only once
        return noisy.clamp_(0, 1) if self.clip else noisy
