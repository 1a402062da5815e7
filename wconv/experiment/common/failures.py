"""Turn exceptions of Python and libraries into ours if the user can fix the cause; bugs stay as they are."""

import errno
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wconv.experiment.common.exceptions import ConfigError, Interrupted, RunError
from wconv.experiment.common.files import write_atomically
from wconv.experiment.common.text import escape_control_characters, one_line

# Exceptions for a wrong value or file, by name, because checking them must not import their libraries.
OF_USERS = (ValueError, OSError)
OF_LIBRARIES = ("OmegaConfBaseException", "HydraException", "MisconfigurationException")


@contextmanager
def configuration_errors() -> Iterator[None]:
    """Turn errors in what the user typed or has on the disk into a `ConfigError` with the same message.

    These are `ValueError`, which models and data sets raise for values and files that they cannot use, `OSError`, and
    what Hydra, OmegaConf and Lightning raise for wrong values. Any other exception is a bug, and passes unchanged.
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
    """Replace the advice of an error, the text after its last semicolon, by advice that fits here.

    Raises:
        ConfigError: with the message of the error, and the advice.
    """
    try:
        yield
    except (*OF_USERS, ConfigError) as error:
        fact, semicolon, last = one_line(error).rpartition("; ")
        raise ConfigError(f"{fact if semicolon else last}; {advice}") from error


@contextmanager
def log_failure(folder: Path, name: str = "error.log") -> Iterator[None]:
    """Distinguish a stopped run from a failed one, and write the traceback of a failure to a file.

    Args:
        folder: of the run; created if missing.
        name: of the file.

    Raises:
        Interrupted: the run was stopped from outside.
        RunError: the run failed; the message names the file.
    """
    try:
        yield
    except RunError:
        raise
    except (KeyboardInterrupt, SystemExit) as error:
        raise Interrupted(f"stopped; the same command resumes from {folder}") from error
    except Exception as error:
        log = folder / name
        with suppress(OSError):  # the disk may be full
            folder.mkdir(parents=True, exist_ok=True)
            write_atomically(log, "".join(traceback.format_exception(error)).encode())
        raise RunError(_message_of_all(error, log)) from error


def save_traceback(error: BaseException) -> RunError:
    """Return the error for an exception raised before there is a run folder; its traceback goes to a file."""
    with tempfile.NamedTemporaryFile("w", prefix="wconv-error-", suffix=".log", delete=False) as log:
        log.write("".join(traceback.format_exception(error)))
    return RunError(failure_message(error, Path(log.name)))


def _message_of_all(error: Exception, log: Path) -> str:
    """Return why a run failed; if another process failed first, its reason, since this one only lost contact."""
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
