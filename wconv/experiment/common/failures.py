"""Exceptions of Python and of libraries, turned into ours; what is nobody's fault but the code's stays a bug."""

import errno
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import escape_control_characters, one_line

# What says that a value or a file is wrong, by name: to look at them must not import the libraries they come from.
OF_USERS = (ValueError, OSError)
OF_LIBRARIES = ("OmegaConfBaseException", "HydraException", "MisconfigurationException")


@contextmanager
def configuration_errors() -> Iterator[None]:
    """Turn what the user typed or has on the disk, and is wrong, into a `ConfigError` with the words of its cause.

    That is `ValueError`, which models and data sets raise for values and files that they cannot take, `OSError`, and
    what Hydra, OmegaConf and Lightning raise for wrong values. All else is a bug, and is not touched.
    """
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        cause = error.__cause__ if type(error).__name__ == "InstantiationException" and error.__cause__ else error
        kinds = {kind.__name__ for kind in type(cause).__mro__}
        if isinstance(cause, RunError):
            raise cause from None
        if isinstance(cause, OF_USERS) or kinds.intersection(OF_LIBRARIES):
            raise ConfigError(one_line(cause)) from error
        raise


@contextmanager
def advise(advice: str) -> Iterator[None]:
    """Replace the advice of an error, what stands behind its last semicolon, by what helps here.

    Raises:
        ConfigError: what was wrong, and the advice.
    """
    try:
        yield
    except (*OF_USERS, ConfigError) as error:
        fact, semicolon, last = one_line(error).rpartition("; ")
        raise ConfigError(f"{fact if semicolon else last}; {advice}") from error


@contextmanager
def log_failure(folder: Path, name: str = "error.log") -> Iterator[None]:
    """Tell a run that was stopped from one that failed, and write the traceback of the latter to a file.

    Args:
        folder: of the run; it is made where it is missing.
        name: of the file.

    Raises:
        Interrupted: it was stopped from outside.
        RunError: it failed, and where the traceback is.
    """
    try:
        yield
    except RunError:
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        raise Interrupted(f"stopped; the same command resumes from {folder}") from error
    except Exception as error:
        log = folder / name
        with suppress(OSError):  # no room for it
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(log, "".join(traceback.format_exception(error)).encode())
        raise RunError(_message_of_all(error, log)) from error


def save_traceback(error: BaseException) -> RunError:
    """Return what is said of an exception that comes before there is a run folder; its traceback goes to a file."""
    with tempfile.NamedTemporaryFile("w", prefix="wconv-error-", suffix=".log", delete=False) as log:
        log.write("".join(traceback.format_exception(error)))
    return RunError(failure_message(error, Path(log.name)))


def _message_of_all(error: Exception, log: Path) -> str:
    """Return why a run failed; where another process failed before, why that did: here only its absence is felt."""
    for other in sorted(log.parent.glob("error.rank*.log")):
        if other != log:
            with suppress(OSError, IndexError):
                reason = escape_control_characters(other.read_text().strip().splitlines()[-1])
                return f"the run failed in another process with {reason} (see {other})"
    return failure_message(error, log)


def failure_message(error: BaseException, log: Path) -> str:
    """Return why a run failed and what to do.

    Args:
        error: what ended it.
        log: where its traceback is.
    """
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"no room is left on the disk of {error.filename or log.parent}; make room, and the same command resumes "
            "from the last checkpoint"
        )
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if out_of_memory or "can't allocate memory" in str(error):
        return (
            f"out of memory ({one_line(error)[:150]}); lower datamodule.batch_size or model.width, take "
            "trainer.precision=bf16-mixed, or for large test images lower task.max_pixels"
        )
    return f"the run failed with {type(error).__name__}: {one_line(error)} (see {log})"
