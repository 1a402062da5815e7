"""No step of a run reads a number off its device: on the meta device there is none, and reading one raises."""

from contextlib import ExitStack
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.accelerators import CPUAccelerator
from torch.utils._python_dispatch import TorchDispatchMode

from wconv.experiment.benchmarks.prepared_run import prepared_run
from wconv.experiment.training import guard

STEPS = 5
TINY = ["model=vgg", "model.width=0.0625", "datamodule=synthetic_classes", "datamodule.train_images=800"]


class Enough(Exception):
    """All steps that are looked at were made."""


class BlockingCopies(TorchDispatchMode):
    """Remember copies to the device for which the program waits."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.ops.aten._to_copy.default:
            source, target = args[0].device.type, torch.device(kwargs.get("device") or args[0].device).type
            if source != target and not kwargs.get("non_blocking"):
                self.found.append(f"{source} to {target}, {tuple(args[0].shape)}")
        return function(*args, **kwargs)


class Watch(pl.Callback):
    """Look for blocking copies from the second step on, and end the run after the last one."""

    def __init__(self) -> None:
        self.copies = BlockingCopies()
        self.watching = ExitStack()
        self.steps = 0

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        self.steps += 1
        if self.steps == 1:
            self.watching.enter_context(self.copies)
        if self.steps == STEPS:
            self.watching.close()
            raise Enough


def train_on_meta(watch: Watch) -> None:
    with prepared_run(TINY) as run, pytest.MonkeyPatch.context() as patch, watch.watching:
        run.trainer.callbacks.append(watch)
        run.trainer.strategy._root_device = torch.device("meta")
        # Before and after the training Lightning may wait, and on this device it cannot.
        patch.setattr(CPUAccelerator, "setup_device", lambda *_: None)
        for loop in ("fit_loop", "evaluation_loop"):
            patch.setattr(f"pytorch_lightning.loops.{loop}.has_len_all_ranks", lambda *_args, **_options: True)
        patch.setattr(run.trainer.strategy, "teardown", lambda: None)
        run.fit()


def test_no_step_of_a_run_waits_for_its_device():
    watch = Watch()
    with pytest.raises(Enough):
        train_on_meta(watch)
    assert watch.copies.found == []


def test_a_look_at_the_loss_is_found(monkeypatch):
    monkeypatch.setattr(guard, "GPU_STEPS", 2)
    watch = Watch()
    with pytest.raises((RuntimeError, NotImplementedError), match="meta tensor"):
        train_on_meta(watch)
    assert watch.steps == 1
