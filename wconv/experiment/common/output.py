"""Keep a program running when its standard output or standard error is closed."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

# Errors of a pipe without a reader, a closed terminal, and a lost connection.
NO_READER = (errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN)


@contextmanager
def tolerate_closed_output(*, drop_lines: bool = False) -> Iterator[None]:
    """Discard output once nobody reads it; use as a context manager or as a decorator of a command.

    The file descriptor itself is redirected to the null device, so that libraries, child processes and the shutdown of
    the interpreter do not find it closed either.

    Args:
        drop_lines: also drop lines that cannot be written for another reason, such as a full disk. This is for
            programs that print progress; a program whose output is its result should end with an error instead.
    """
    _open_missing_descriptors()
    before = sys.stdout, sys.stderr
    guarded = [_Output(stream or os.fdopen(number, "w", closefd=False), drop_lines) for number, stream in _streams()]
    sys.stdout, sys.stderr = cast(list[TextIO], guarded)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream in guarded:
            stream.finish()


class _Output:
    """A wrapper of a text stream that survives the loss of its reader."""

    def __init__(self, stream: TextIO, drop_lines: bool) -> None:
        self._stream = stream
        self._drop_lines = drop_lines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; characters that the stream cannot encode are escaped."""
        try:
            self._attempt(lambda: self._stream.write(text))
        except UnicodeEncodeError:
            encoding = self._stream.encoding
            known = text.encode(encoding, "backslashreplace").decode(encoding)
            self._attempt(lambda: self._stream.write(known))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write one text after the other."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Flush the stream."""
        self._attempt(self._stream.flush)

    def finish(self) -> None:
        """Flush the rest, so that the shutdown of the interpreter cannot fail on it."""
        try:
            self._stream.flush()
        except OSError as error:
            self._disconnect()
            self._check(error)

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            if error.errno in NO_READER:
                self._disconnect()
            self._check(error)

    def _check(self, error: OSError) -> None:
        """End a program whose output is lost, with a message of one sentence."""
        if error.errno not in NO_READER and not self._drop_lines:
            name = Path(sys.argv[0]).stem
            raise SystemExit(f"{name}: the output cannot be written ({error.strerror}); send it elsewhere") from error

    def _disconnect(self) -> None:
        """Redirect the stream to the null device."""
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, self._stream.fileno())
        except io.UnsupportedOperation:  # an in-memory stream of a test or a notebook
            self._stream = open(os.devnull, "w")  # noqa: SIM115
        finally:
            os.close(null)


def _streams() -> tuple[tuple[int, TextIO | None], ...]:
    # A stream is None if its descriptor was closed when the interpreter started.
    return (1, sys.stdout), (2, sys.stderr)


def _open_missing_descriptors() -> None:
    """Open 0, 1 and 2 if they are closed; otherwise a file could get one of them, and terminal output with it."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
