"""What libraries tell everybody and nobody here needs."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

NEEDLESS = (
    ".*does not have many workers",  # the loaders cut batches out of one tensor: there is no work for processes
    ".*Checkpoint directory .* exists and is not empty",
    ".*smaller than the logging interval",
    ".*sync_dist=True",  # torchmetrics has summed over the processes
    ".*`srun` command is available",  # on a login node, to every run
    ".*your dataloader is not resumable",  # its data module is
    ".*LeafSpec",  # PyTorch's word to Lightning
)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Leave out what Lightning tells everybody."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    with warnings.catch_warnings():
        for message in NEEDLESS:
            warnings.filterwarnings("ignore", message=message)
        yield


def format_warnings_as_one_line() -> None:
    """Show every warning of a program as one line, without the place in the code."""
    warnings.formatwarning = lambda message, *_args, **_kwargs: f"warning: {message}\n"
