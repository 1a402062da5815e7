"""The signals that mean stop: they set a flag, and the training leaves where nothing is lost.

SIGHUP is one of them: the terminal was closed. Where it is ignored, as by nohup, it stays so.

A handler that does more is a trap: it runs between any two instructions, and in one process of several only.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP)

_received: list[int] = []


@contextmanager
def deferred_signals() -> Iterator[None]:
    """Keep the signals that mean stop until somebody asks for them; a second SIGINT ends the process at once.

    Within another such context, and in a thread that is not the main one (where Python takes no handlers), it changes
    nothing.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is _keep:
        yield
        return
    _received.clear()
    before = {number: signal.signal(number, _keep) for number in _heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def install_handlers() -> None:
    """Set our handlers again where a library has put its own in their place, within `deferred_signals`."""
    if threading.current_thread() is threading.main_thread():
        for number in _heeded():
            signal.signal(number, _keep)


def stop_signal() -> str:
    """Return the name of the signal that asked to stop; nothing where none did."""
    return signal.Signals(_received[0]).name if _received else ""


def _heeded() -> list[signal.Signals]:
    """Return the signals that mean stop to this process."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (ignored and number == signal.SIGHUP)]


def _keep(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and signal.SIGINT in _received:  # the user does not want to wait
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    _received.append(number)
