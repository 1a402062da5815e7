"""Stop signals only set a flag; the training ends at the next point where nothing is lost.

SIGHUP (the terminal was closed) is one of them. If it is ignored, as under nohup, it stays ignored.

A handler must not do more: it runs between any two instructions, and in only one of several processes.
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
    """Record stop signals, for `stop_signal` to return; a second SIGINT ends the process at once.

    This has no effect within another such context, or outside the main thread, where Python accepts no handlers.
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
    """Restore our handlers if a library has replaced them within `deferred_signals`."""
    if threading.current_thread() is threading.main_thread():
        for number in _heeded():
            signal.signal(number, _keep)


def stop_signal() -> str:
    """Return the name of the stop signal received; empty if there was none."""
    return signal.Signals(_received[0]).name if _received else ""


def _heeded() -> list[signal.Signals]:
    """Return the signals that stop this process."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in STOP_SIGNALS if not (ignored and number == signal.SIGHUP)]


def _keep(number: int, frame: FrameType | None) -> None:
    if number == signal.SIGINT and signal.SIGINT in _received:  # the user does not want to wait
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    _received.append(number)
