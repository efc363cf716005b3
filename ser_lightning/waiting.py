"""Waiting so that a person can tell it from hanging: for what, said every few minutes, and up to when."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ser_lightning.console import say
from ser_lightning.errors import UserError

EVERY = 180.0
"""Seconds between two lines about the same."""


class Waiting:
    """Told again and again that it is still waited, it says for what every few minutes.

    Args:
        limit: seconds after which it is given up; None for what others' trials and queued jobs take.
    """

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self._began = self._since = self._said = time.monotonic()

    def sign(self) -> None:
        """What is waited for shows that it is coming: the limit counts from now."""
        self._since = time.monotonic()

    def still(self, what: str) -> None:
        """Raises UserError: the limit is reached."""
        now = time.monotonic()
        if self.limit is not None and now - self._since > self.limit:
            raise UserError(f"waited {_minutes(now - self._since)} for {what}: given up")
        if now - self._said > EVERY:
            self._said = now
            say(f"waiting for {what}, {_minutes(now - self._began)} so far")


@contextmanager
def announced(what: str) -> Iterator[None]:
    """While the block is held up by a lock or a server, what it waits for is said every few minutes."""
    done, began = threading.Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(EVERY):
            say(f"waiting for {what}, {_minutes(time.monotonic() - began)} so far")

    threading.Thread(target=tell, daemon=True).start()
    try:
        yield
    finally:
        done.set()


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= 90 else f"{seconds:.0f} s"
