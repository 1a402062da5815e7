"""What can end a run before it is done, and the exit code of each."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from hydra.errors import InstantiationException
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from wconv.experiment.text import visible


class Stop(Exception):
    """A run ends; the message is one sentence for the user."""

    exit_code = 1


class ConfigError(Stop):
    """The configuration or the data is wrong; nothing was started."""

    exit_code = 2


class Interrupted(Stop):
    """The run can go on with the same command: it was stopped, or another process holds it."""

    exit_code = 75


@contextmanager
def while_building() -> Iterator[None]:
    """Turn what goes wrong before the training starts into a `ConfigError` with the words of its cause.

    With HYDRA_FULL_ERROR=1 the traceback is printed too (see `cli.report`).
    """
    try:
        yield
    except Stop:
        raise
    except InstantiationException as error:
        raise ConfigError(one_line(error.__cause__ or error)) from error
    except (ValueError, TypeError, OSError, OmegaConfBaseException, MisconfigurationException) as error:
        raise ConfigError(one_line(error)) from error
    except Exception as error:
        raise ConfigError(f"{type(error).__name__}: {one_line(error)}") from error


def failure(error: Exception, directory: Path) -> str:
    """Return why a run failed and what to do, in one sentence.

    Args:
        error: what ended it.
        directory: its folder.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no room is left on the disk of {error.filename or directory}; make room, and the same command goes on "
            "from the last checkpoint"
        )
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return (
            f"out of memory ({one_line(error)[:150]}); lower datamodule.batch_size or model.width, take "
            "trainer.precision=bf16-mixed, or for large test images lower task.max_pixels"
        )
    log = directory / "error.log"
    return f"the run failed with {type(error).__name__}: {one_line(error)} (see {log})"


def one_line(error: BaseException) -> str:
    """Return the message of an error as one line, or its kind where it has none."""
    return visible(" ".join(str(error).split())) or type(error).__name__
