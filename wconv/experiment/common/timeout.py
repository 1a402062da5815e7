"""Calls that may hang."""

import threading
from collections.abc import Callable
from typing import Any


def with_timeout(action: Callable[[], Any], seconds: float) -> Any:
    """Return what an action returns, or raise what it raises; it is left alone where it takes too long.

    Raises:
        TimeoutError: it did. Its thread goes on, and does not keep the program from ending.
    """
    returned: list[Any] = []
    raised: list[BaseException] = []

    def act() -> None:
        try:
            returned.append(action())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    if raised:
        raise raised[0]
    if not returned:
        raise TimeoutError(f"no answer in {seconds:g} s")
    return returned[0]
