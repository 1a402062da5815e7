"""Decide after every batch whether to continue, save a checkpoint, stop on a signal, or fail."""

import math
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from wconv.experiment.common.exceptions import Diverged, Interrupted
from wconv.experiment.common.signals import install_handlers, stop_signal
from wconv.experiment.runs.checkpoint_io import LAST

GPU_STEPS = 20  # between two reads of the losses on a GPU, and between two decisions of several processes
CONTINUE, SAVE, STOP, FAIL = range(4)  # the highest decision of all processes counts


class Guard(pl.Callback):
    """Save within long epochs, stop with a checkpoint on a signal, and end a run whose loss is NaN or infinite.

    On a GPU, losses are read some steps later, but before any checkpoint; the reported step is still the right one.

    Args:
        checkpoints: folder of the checkpoints.
        every_seconds: maximum seconds of training between two checkpoints.
    """

    def __init__(self, checkpoints: Path, every_seconds: float) -> None:
        self.path = checkpoints / LAST
        self.every_seconds = every_seconds
        self.losses: list[tuple[int, torch.Tensor]] = []  # not read yet, with the step of each
        self.saved_step = -1

    def on_sanity_check_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore our signal handlers.

        Before this hook, `on_train_start` and `on_test_start`, Lightning wraps the handler of SIGTERM in one that
        broadcasts at any point of the program, which hangs with several processes.
        """
        install_handlers()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock, and restore our signal handlers."""
        install_handlers()
        self.saved = time.monotonic()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore our signal handlers."""
        install_handlers()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Decide jointly with the other processes."""
        self.losses.append((trainer.global_step, outputs["loss"].detach()))
        # Reading a number from a GPU waits for all queued work, including the newest step.
        reads = trainer.strategy.root_device.type == "cpu" or (batch_idx + 1) % GPU_STEPS == 0
        if not reads and trainer.world_size > 1:
            return
        decision = FAIL if reads and self._diverged(keep=1) else self._wish()
        decision = _most_severe(trainer, decision)
        if decision == FAIL:
            self._fail(trainer)
        if decision in (SAVE, STOP) and _can_resume_here(trainer, batch_idx + 1):
            trainer.save_checkpoint(self.path)
            self.saved = time.monotonic()
            if decision == STOP:
                self._stop(trainer)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: Any) -> None:
        """Fail rather than save weights of a diverged step."""
        if _most_severe(trainer, FAIL if self._diverged(keep=0) else CONTINUE) == FAIL:
            self._fail(trainer)
        self.saved_step = trainer.global_step

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop after the checkpoint of the validation, if there was one."""
        if _most_severe(trainer, self._wish()) == STOP and self.saved_step == trainer.global_step:
            self._stop(trainer)
        self.saved = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the final state of a run that ends without a validation."""
        if self.saved_step != trainer.global_step:
            trainer.save_checkpoint(self.path)

    def on_test_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any) -> None:
        """Stop on a signal; a resumed run repeats the test."""
        # Several processes may have different numbers of batches, so they cannot decide jointly: they finish the test.
        if trainer.world_size == 1 and stop_signal():
            self._stop(trainer)

    def _wish(self) -> int:
        if stop_signal():
            return STOP
        return SAVE if time.monotonic() - self.saved >= self.every_seconds else CONTINUE

    def _diverged(self, keep: int) -> bool:
        """Check all losses but the newest `keep`; if one is not finite, `losses` starts with it."""
        looked_at = self.losses[: len(self.losses) - keep]
        if not looked_at:
            return False
        finite = torch.stack([loss for _, loss in looked_at]).isfinite().tolist()
        good = finite.index(False) if False in finite else len(finite)
        del self.losses[:good]
        return good < len(finite)

    def _fail(self, trainer: pl.Trainer) -> None:
        step = self.losses[0][0] if self.losses else trainer.global_step
        there = f"the last good checkpoint is {self.path}" if self.path.exists() else "no checkpoint was made before it"
        raise Diverged(
            f"the loss is NaN or infinite at step {step}; {there}; "
            "try a lower optimizer.lr, a longer scheduler.warmup or trainer.gradient_clip_val"
        )

    def _stop(self, trainer: pl.Trainer) -> None:
        asked = stop_signal() or "a signal to another process"
        raise Interrupted(
            f"stopped by {asked} at step {trainer.global_step}; the same command resumes from {self.path.parent.parent}"
        )


def _can_resume_here(trainer: pl.Trainer, batches: int) -> bool:
    """Tell whether a run can resume exactly from a checkpoint after this many batches of an epoch."""
    if trainer.is_last_batch or trainer.global_step == trainer.max_steps:  # Lightning would skip what follows
        return False
    if batches % trainer.accumulate_grad_batches:  # accumulated gradients are not in the checkpoint
        return False
    # Lightning would skip a validation that is due here; its end saves a checkpoint anyway.
    due = trainer.val_check_batch
    return (
        not due
        or not math.isfinite(due)
        or all(count % due for count in (batches, trainer.fit_loop.total_batch_idx + 1))
    )


def _most_severe(trainer: pl.Trainer, decision: int) -> int:
    """Return the highest decision of all processes."""
    if trainer.world_size == 1:
        return decision
    mine = torch.tensor(decision, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(mine, reduce_op="max"))
