"""Waiting for what another process or thread does. No test sleeps: it waits for what it needs."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LONGEST = 400.0
"""Seconds: a guard against hanging, ten times what the slowest start of a training takes beside other tests."""


def until(true: Callable[[], T], what: str, seconds: float = LONGEST, pause: float = 0.02) -> T:
    """What `true()` gave as soon as that is true; asked every `pause` seconds.

    Raises:
        TimeoutError: it was not within `seconds`; says `what` was awaited.
    """
    deadline = time.monotonic() + seconds
    while not (found := true()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return found
