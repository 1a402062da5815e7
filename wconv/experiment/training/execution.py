"""Execution of the network of a run: memory format, and torch.compile."""

import warnings

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from wconv.experiment.common.text import one_line
from wconv.experiment.tasks.task import Task


def set_memory_format(config: DictConfig, task: Task) -> None:
    """Convert the kernels to the memory format of the configuration; the feature maps follow.

    PyTorch chooses the layout of a convolution by its kernel as well as its input, and W * Phi has the layout of W.
    """
    if config.channels_last:
        task.model.to(memory_format=torch.channels_last)


class CompiledTraining(pl.Callback):
    """Compile the network for the training step, but not for validation and test.

    Those see images of many sizes, each of which would be compiled separately. Dynamic shapes are disabled, because
    the code that a resumed run compiles must not depend on batches that it has not seen.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compile the network, if a compiler works."""
        if reason := why_not_compile(pl_module.device):
            warnings.warn(
                f"compile=true: PyTorch cannot compile here ({reason}), and the run goes on uncompiled", stacklevel=2
            )
        else:
            assert isinstance(pl_module, Task)
            pl_module.model.compile(dynamic=False)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Switch to the uncompiled network."""
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Switch back to the compiled network."""
        torch.compiler.set_stance("default")

    on_test_start = on_validation_start
    on_test_end = on_validation_end

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Restore the state of PyTorch."""
        torch.compiler.set_stance("default")


def why_not_compile(device: torch.device) -> str:
    """Return why PyTorch cannot compile for a device, such as a missing C++ compiler or Triton; "" if it can.

    This compiles a single addition, because the requirements differ between versions and devices.
    """
    try:
        torch.compile(lambda number: number + 1)(torch.zeros(2, device=device))
    except Exception as error:  # from Dynamo, Inductor or a subprocess
        return one_line(error)[:200]
    return ""
