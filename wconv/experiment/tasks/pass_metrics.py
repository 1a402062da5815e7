"""Metrics accumulated over a pass through the images, with few operations per batch and no GPU synchronisation.

The classes of torchmetrics validate every batch, which costs as much as a small layer and synchronises a GPU. Their
base class is still used for reduction over processes, and for a state that checkpoints save.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanLoss(Metric):
    """Mean loss over all images, from the mean loss of each batch; NaN if any loss was NaN."""

    full_state_update = False
    loss: Tensor
    images: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("loss", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, loss: Tensor, images: int) -> None:
        """Add a batch of `images` images with its mean loss."""
        # Not in place: the state may be created in inference mode, after a validation, and updated outside it.
        self.loss = self.loss + loss.detach().float() * images
        self.images = self.images + images

    def compute(self) -> Any:
        """Return the mean."""
        return self.loss / self.images


class ClassificationMetrics(MeanLoss):
    """Cross-entropy, top-1 and (with more than 5 classes) top-5 accuracy over all images of a pass."""

    correct: Tensor
    correct_top5: Tensor

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.has_top5 = num_classes > 5
        self.add_state("correct", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("correct_top5", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:  # type: ignore[override]
        """Add a batch: logits (N, classes), labels (N,), mean loss."""
        super().update(loss, len(labels))
        logits = logits.detach()
        self.correct = self.correct + (logits.argmax(1) == labels).sum()
        if self.has_top5:
            self.correct_top5 = self.correct_top5 + (logits.topk(5).indices == labels.unsqueeze(1)).sum()

    def compute(self) -> dict[str, Tensor]:
        """Return the scores."""
        images = self.images.clamp(min=1)
        scores = {"acc": self.correct / images}
        if self.has_top5:
            scores["acc_top5"] = self.correct_top5 / images
        return {**scores, "loss": super().compute()}

    def compute_and_reset(self, prefix: str) -> dict[str, Tensor]:
        """Return the scores of the pass, named `prefix/acc` and so on, and reset them."""
        scores = self.compute()
        self.reset()
        return {f"{prefix}/{name}": value for name, value in scores.items()}
