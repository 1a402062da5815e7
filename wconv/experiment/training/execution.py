"""How the network of a run is computed: the memory format of its kernels, and compiled or as it comes."""

import warnings

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig

from wconv.experiment.common.text import one_line
from wconv.experiment.tasks.task import Task


def set_memory_format(config: DictConfig, task: Task) -> None:
    """Put the kernels into the memory format of the configuration, the feature maps follow them.

    The convolutions of PyTorch go by their kernels as well as by their input, and W * Phi is laid out as W is.
    """
    if config.channels_last:
        task.model.to(memory_format=torch.channels_last)


class CompiledTraining(pl.Callback):
    """Compile the network for the training step, and leave validation and test as they are.

    Those see images of many sizes, and each would be compiled for itself. For the same reason no size is made a
    variable: what a resumed run compiles must not depend on the batches that it has not seen.
    """

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compile, if there is a compiler."""
        if reason := why_not_compile(pl_module.device):
            warnings.warn(
                f"compile=true: PyTorch cannot compile here ({reason}), and the run goes on uncompiled", stacklevel=2
            )
        else:
            assert isinstance(pl_module, Task)
            pl_module.model.compile(dynamic=False)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Compute as without a compiler."""
        torch.compiler.set_stance("force_eager")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Go back to the compiled network."""
        torch.compiler.set_stance("default")

    on_test_start = on_validation_start
    on_test_end = on_validation_end

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Leave PyTorch as it was."""
        torch.compiler.set_stance("default")


def why_not_compile(device: torch.device) -> str:
    """Return what keeps PyTorch from compiling for a device, a C++ compiler or Triton that is missing; "" if nothing.

    Asked by a program of one addition, because each version and each device needs something else.
    """
    try:
        torch.compile(lambda number: number + 1)(torch.zeros(2, device=device))
    except Exception as error:  # of Dynamo, of Inductor, of a subprocess
        return one_line(error)[:200]
    return ""
