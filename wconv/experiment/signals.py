"""SIGTERM, SIGINT and SIGUSR1: they set a flag, and the training leaves where nothing is lost.

A handler that does more is a trap: it runs between any two instructions, and in one process of several only.
"""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

_received: list[int] = []


@contextmanager
def noted(earlier: Iterable[int] = ()) -> Iterator[None]:
    """Note the signals that mean stop; a second SIGINT ends the process at once.

    Args:
        earlier: those that came before this module was imported.
    """
    _received.clear()
    before = {number: signal.signal(number, _note) for number in STOPPING}
    _received[:0] = earlier
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop_asked() -> str:
    """Return the name of the signal that asked to stop; nothing where none did."""
    return signal.Signals(_received[0]).name if _received else ""


def _note(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and signal.SIGINT in _received:  # the user does not want to wait
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    _received.append(number)
