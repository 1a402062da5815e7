"""Suppress messages of libraries that do not apply here."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NEEDLESS = (
    ".*does not have many workers",  # the loaders slice batches from one tensor, so worker processes would not help
    ".*Checkpoint directory .* exists and is not empty",
    ".*smaller than the logging interval",
    ".*sync_dist=True",  # torchmetrics has already reduced over the processes
    ".*`srun` command is available",  # shown for every run on a login node
    ".*your dataloader is not resumable",  # its datamodule is
    ".*LeafSpec",  # a deprecation in PyTorch that concerns Lightning
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Suppress the usual hints of Lightning."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message=message)
        yield


def format_warnings_as_one_line() -> None:
    """Show every warning of a program as one line, without the place in the code."""
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
