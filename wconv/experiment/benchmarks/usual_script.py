"""A typical training script for comparison: a torchvision data set, a DataLoader, a loop, float32."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import CIFAR100
from torchvision.transforms import v2

PADDING, SIDE = 4, 32
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
SIGMA = 25 / 255


class DrawnCIFAR(CIFAR100):  # type: ignore[misc]
    """torchvision's CIFAR100 with random images instead of its files.

    Args:
        images: how many.
        transform: of each.
    """

    def __init__(self, images: int, transform: Callable[[Any], Tensor]) -> None:
        random = np.random.default_rng(0)
        self.data = random.integers(0, 256, (images, SIDE, SIDE, 3), dtype=np.uint8)
        self.targets = random.integers(0, 100, images).tolist()
        self.transform, self.target_transform = transform, None


class Patches(Dataset[tuple[Tensor, Tensor]]):
    """Noisy and clean patches; a whole image is decoded for each.

    Args:
        files: grey images.
        size: of a patch, in pixels.
        count: patches per epoch.
    """

    def __init__(self, files: list[Path], size: int, count: int) -> None:
        self.files, self.count = files, count
        self.transform = v2.Compose(
            [
                v2.RandomCrop(size),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        with Image.open(self.files[index % len(self.files)]) as image:
            clean: Tensor = self.transform(image.convert("L"))
        return clean + SIGMA * torch.randn_like(clean), clean


def classes(root: Path | None, images: int) -> Dataset[Any]:
    """Return CIFAR-100 from a folder, or drawn images without one, with crops and flips."""
    transform = v2.Compose(
        [
            v2.RandomCrop(SIDE, PADDING),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(MEAN, STD),
        ]
    )
    return CIFAR100(str(root), transform=transform) if root else DrawnCIFAR(images, transform)


def epoch(model: nn.Module, data: Dataset[Any], batch: int, steps: int, workers: int) -> Callable[[], None]:
    """Return a function that trains for `steps` batches, including the start of the workers, as in each epoch.

    Args:
        model: a classifier, or a denoiser if the targets are images.
        data: images and targets.
        batch: images per step.
        steps: number of batches.
        workers: number of loader processes.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(data, batch, shuffle=True, num_workers=workers, drop_last=True)

    def run() -> None:
        model.train()
        total, correct = 0.0, 0
        for number, (images, targets) in enumerate(loader, start=1):
            output = model(images)
            classifies = targets.dim() == 1
            loss = F.cross_entropy(output, targets) if classifies else F.mse_loss(output, targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(images)
            correct += int((output.argmax(1) == targets).sum()) if classifies else 0
            if number == steps:
                return

    return run
