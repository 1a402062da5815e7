"""How many CPU cores this process may use."""

import os
import sys


def available_cores() -> int:
    """Return the cores that the process may run on: on a shared node, fewer than the machine has."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
