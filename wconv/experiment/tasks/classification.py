"""The classification task: loss and metrics."""

from collections.abc import Callable, Mapping

import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from wconv.experiment.common.metrics import TASKS
from wconv.experiment.tasks.density_recipe import DensityRecipe
from wconv.experiment.tasks.pass_metrics import ClassificationMetrics
from wconv.experiment.tasks.task import Task

Batch = tuple[Tensor, Tensor]


class Classification(Task):
    """Train a backbone to classify images.

    Args:
        model: maps images (N, C, H, W) to logits (N, num_classes).
        optimizer: creates the optimiser for given parameters.
        scheduler: creates the learning-rate schedule for an optimiser and `total_steps`.
        num_classes: number of classes.
        label_smoothing: of the training loss; measured losses have none.
        density: recipe for trained densities; None if there are none.
    """

    monitor = TASKS["classification"].monitor
    mode = TASKS["classification"].mode

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        num_classes: int,
        label_smoothing: float = 0.0,
        density: DensityRecipe | None = None,
    ) -> None:
        super().__init__(model, optimizer, scheduler, density)
        self.label_smoothing = label_smoothing
        self.train_scores, self.val_scores, self.final_test_metrics = (
            ClassificationMetrics(num_classes) for _ in range(3)
        )

    @property
    def definitions(self) -> Mapping[str, str]:
        """Definitions of the metrics."""
        return TASKS["classification"].definitions

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        logits = self.model(images)
        loss = F.cross_entropy(logits, labels)
        self.train_scores.update(logits, labels, loss)
        if self.label_smoothing:
            return F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a held-out batch."""
        self._score(self.val_scores, batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Score a test batch."""
        self._score(self.final_test_metrics, batch)

    def on_validation_epoch_end(self) -> None:
        """Log training and validation metrics together."""
        if self.trainer.sanity_checking:
            self.val_scores.compute_and_reset("val")
            return
        self.log_epoch(self.train_scores.compute_and_reset("train") | self.val_scores.compute_and_reset("val"))

    def on_test_epoch_end(self) -> None:
        """Log the test scores."""
        self.log_dict(self.final_test_metrics.compute_and_reset("test"))

    def _score(self, scores: ClassificationMetrics, batch: Batch) -> None:
        images, labels = batch
        logits = self.model(images)
        scores.update(logits, labels, F.cross_entropy(logits, labels))
