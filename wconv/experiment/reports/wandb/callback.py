"""Callback that logs epochs to W&B during training, and the end of the W&B run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl

from wconv.experiment.common.exceptions import Interrupted
from wconv.experiment.reports.wandb.logger import WandbRunLogger
from wconv.experiment.runs.run import Run


class WandbEpochCallback(pl.Callback):
    """Log every epoch to W&B after its rows in metrics.csv and timing.csv are written."""

    def __init__(self, logger: WandbRunLogger) -> None:
        self.logger = logger
        self.rates: dict[str, float] = {}

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Record the learning rate of the densities; metrics.csv has that of the weights."""
        groups = trainer.optimizers[0].param_groups
        self.rates = {"lr/density": float(groups[-1]["lr"])} if len(groups) > 1 else {}

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the epoch."""
        self.logger.log_epochs(trainer.current_epoch, **self.rates)


def wandb_logger_and_callback(config: Any, run: Run) -> tuple[list[WandbRunLogger], list[WandbEpochCallback]]:
    """Return the logger and the callback of logger=wandb; none for another logger."""
    if config.logger.name != "wandb":
        return [], []
    arguments = {str(key): value for key, value in config.logger.items() if key != "name"}
    logger = WandbRunLogger(run, **arguments)
    return [logger], [WandbEpochCallback(logger)]


@contextmanager
def finish_wandb(trainer: pl.Trainer) -> Iterator[None]:
    """End the W&B run with the status of the run: finished, failed, or stopped and resumable."""
    code = 1
    try:
        yield
        code = 0
    except (Interrupted, KeyboardInterrupt, SystemExit):
        code = Interrupted.exit_code
        raise
    finally:
        for logger in trainer.loggers:
            if isinstance(logger, WandbRunLogger):
                logger.close(code)
