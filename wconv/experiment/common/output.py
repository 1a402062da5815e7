"""Standard output and standard error that may be closed: nobody reads them any more, and the work goes on."""

import errno
import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

# What a pipe without a reader, a terminal that was closed, and a connection that is gone answer.
NO_READER = (errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN)


@contextmanager
def tolerate_closed_output(*, drop_lines: bool = False) -> Iterator[None]:
    """Let what is printed go nowhere once nobody reads it; as a context, or as a decorator of a command.

    The file descriptor itself is led to the null device. So libraries, child processes and the end of the interpreter
    find nothing closed either.

    Args:
        drop_lines: go on without a line that cannot be written for another reason, such as a full disk. That is for
            programs that print how far they are. Those whose result is what they print end with one sentence.
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
    """A text stream that survives the end of its reader; in all else it is the stream itself."""

    def __init__(self, stream: TextIO, drop_lines: bool) -> None:
        self._stream = stream
        self._drop_lines = drop_lines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text; characters that the stream has no code for are written out."""
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
        """Hand over what was written so far."""
        self._attempt(self._stream.flush)

    def finish(self) -> None:
        """Hand over the rest, so that the end of the interpreter has nothing to fail on."""
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
        """End a program whose result is lost, in one sentence."""
        if error.errno not in NO_READER and not self._drop_lines:
            name = Path(sys.argv[0]).stem
            raise SystemExit(f"{name}: the output cannot be written ({error.strerror}); send it elsewhere") from error

    def _disconnect(self) -> None:
        """Lead the stream to the null device."""
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, self._stream.fileno())
        except io.UnsupportedOperation:  # a stream in memory, of a test or a notebook
            self._stream = open(os.devnull, "w")  # noqa: SIM115
        finally:
            os.close(null)


def _streams() -> tuple[tuple[int, TextIO | None], ...]:
    # Either is None where its descriptor was closed when the interpreter started.
    return (1, sys.stdout), (2, sys.stderr)


def _open_missing_descriptors() -> None:
    """See that 0, 1 and 2 are open: else a file gets such a number, and what is meant for a terminal."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
