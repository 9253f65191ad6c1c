"""Waiting for what another process does."""

import time
from typing import Any


def wait_for(ask: Any, seconds: float) -> Any:
    """The first true answer.

    Raises:
        TimeoutError: there was none in time.
    """
    end = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"still {answer!r} after {seconds} s")
        time.sleep(0.05)
    return answer
