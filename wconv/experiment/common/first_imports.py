"""Import PyTorch and Lightning in less time."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Import PyTorch without garbage collections, and leave what is imported out of all later ones.

    Each of them looks through all modules so far: a fifth of the start-up time. Where PyTorch is imported already, this
    has no effect: what that program has made meanwhile may be garbage one day.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
