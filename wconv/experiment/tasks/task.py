"""Base of the tasks: optimiser, schedule, logging, and the definitions of the metrics."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import Metric

from wconv.experiment.tasks.density_recipe import DensityRecipe, trained_densities
from wconv.experiment.tasks.schedules import per_group
from wconv.experiment.tasks.tap_decay import decay_by_tap, param_groups


class Task(pl.LightningModule):
    """A network and its training.

    Args:
        model: the network.
        optimizer: creates the optimiser for given parameters.
        scheduler: creates the learning-rate schedule for an optimiser and `total_steps`.
        density: recipe for trained densities; None if there are none.

    Attributes:
        monitor: metric that selects the epoch to test.
        mode: "max" or "min", of that metric.
    """

    monitor: ClassVar[str]
    mode: ClassVar[str]

    def __init__(
        self,
        model: nn.Module,
        optimizer: Callable[..., Optimizer],
        scheduler: Callable[..., LRScheduler],
        density: DensityRecipe | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.density = density

    @property
    @abstractmethod
    def definitions(self) -> Mapping[str, str]:
        """Definition of each metric, for results.json."""

    def configure_optimizers(self) -> Any:
        """Return the optimiser and its schedule by step."""
        steps = int(self.trainer.estimated_stepping_batches)
        if self.density is None:
            optimizer = self.optimizer(param_groups(self.model))
            decay_by_tap(optimizer, self.model)
            schedule = self.scheduler(optimizer, total_steps=steps)
        else:
            optimizer = self.optimizer(self.density.param_groups(self.model))
            restarts = self.density.lr_factor(steps / (self.trainer.max_epochs or 1))
            schedule = per_group(self.scheduler, restarts, optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Record the learning rate of the step."""
        # Read here, because after the last batch the schedule is already one step ahead, or past its end.
        self.rate: float = self.trainer.optimizers[0].param_groups[0]["lr"]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the partial sums of the metrics of an unfinished epoch, from every process."""
        sums = {name: metric.metric_state for name, metric in self._metrics().items()}
        gathered: list[Any] = [sums]
        if self.trainer.world_size > 1:
            gathered = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(gathered, sums)
        checkpoint["metrics"] = gathered

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the partial sums of this process."""
        if not self.trainer.training:
            return
        sums = checkpoint["metrics"][self.trainer.global_rank]
        for name, metric in self._metrics().items():
            for key, value in sums[name].items():
                setattr(metric, key, value.clone())

    def _metrics(self) -> dict[str, Metric]:
        return {name: module for name, module in self.named_modules() if isinstance(module, Metric)}

    def log_epoch(self, scores: Mapping[str, Tensor | float]) -> None:
        """Log training and validation together: one row per epoch, written before the checkpoint."""
        for name, value in ({"lr": self.rate} | dict(scores) | trained_densities(self.model)).items():
            self.log(name, value, prog_bar=name == self.monitor)
