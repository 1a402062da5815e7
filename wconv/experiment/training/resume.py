"""Choose the checkpoint that a run resumes from, and the one that is tested at its end."""

from pathlib import Path

import pytorch_lightning as pl

from wconv.experiment.common.exceptions import RunError
from wconv.experiment.runs.checkpoint_io import AtomicCheckpointIO
from wconv.experiment.runs.run import Run
from wconv.experiment.training.metrics_csv import MetricsCSV


def resume_checkpoint(run: Run, trainer: pl.Trainer, files: AtomicCheckpointIO) -> Path | None:
    """Return the checkpoint to resume from, if any, and truncate the log to its step."""
    found = files.latest_valid(run.checkpoints, repair=trainer.is_global_zero)
    if found is None:
        return None
    path, content = found
    step = content["global_step"]
    for logger in trainer.loggers:
        if isinstance(logger, MetricsCSV):
            logger.restore_rows(step)
    if trainer.is_global_zero:
        print(f"resuming from step {step} of {run.directory}", flush=True)
    return path


def best_checkpoint(run: Run, files: AtomicCheckpointIO) -> Path | None:
    """Return the checkpoint to test; None (test the current weights) for a run without validation.

    Raises:
        RunError: it is damaged.
    """
    path = run.checkpoints / "best.ckpt"
    if not path.exists():
        return None
    try:
        files.read(path)
    except ValueError as error:
        raise RunError(f"{path}, the best epoch of this run, {error}; start over with force=true") from error
    return path
