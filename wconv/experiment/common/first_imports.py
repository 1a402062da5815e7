"""Import PyTorch and Lightning in less time."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collections() -> Iterator[None]:
    """Import PyTorch without garbage collections, and leave what is imported out of all later ones.

    Each collection looks through all modules so far, which takes a fifth of the start-up time. Where PyTorch is
    imported already, nothing is done: a freeze would keep for good what the program has made since then.
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
