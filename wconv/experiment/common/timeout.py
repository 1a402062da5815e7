"""Run calls that may hang with a timeout."""

import threading
from collections.abc import Callable
from typing import Any


def with_timeout(action: Callable[[], Any], seconds: float) -> Any:
    """Run an action in a thread, and return its result or raise its exception.

    Raises:
        TimeoutError: it took too long. Its thread continues, but does not keep the program from ending.
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
