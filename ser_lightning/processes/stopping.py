"""One way to stop: a request, made by a signal or a watcher and honoured where the work can be gone on with."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ser_lightning.processes.signals import SCHEDULERS

SIGNALS = (signal.SIGINT, *SCHEDULERS)


class StopRequest:
    """Set by `request` from anywhere (a signal, a watcher); whoever does the work looks at `reason` and ends."""

    def __init__(self) -> None:
        self.reason, self.exit_code = "", 0
        self.retake: Callable[[], None] = lambda: None
        """Puts the handlers of `on_signals` back in place."""

    def request(self, reason: str, exit_code: int) -> None:
        """Ask; of several requests the one with the highest code is reported.

        Among signals that is SIGTERM before SIGUSR1: who warns of the time limit lets the job be started again, who
        ends it doesn't.
        """
        if exit_code >= self.exit_code:
            self.reason, self.exit_code = reason, exit_code

    def step_ends(self, trainer: Any) -> None:
        """A training calls it at each step's end, before it looks: for a request that depends on how far it is."""


@contextmanager
def on_signals(stop: StopRequest) -> Iterator[None]:
    """SIGINT, SIGUSR1 and SIGTERM become a stop request; a second SIGINT takes its usual course at once.

    A scheduler sends the others to every process of a job, which each then hears of twice: from it and from its
    parent. Outside the main thread, where Python hands out no signals, nothing changes.
    """
    before: dict[int, Any] = {}

    def handle(number: int, _: FrameType | None) -> None:
        stop.request(signal.Signals(number).name, 128 + number)
        if number == signal.SIGINT:
            signal.signal(number, before[number])

    def take() -> None:
        for asked in SIGNALS:
            found = signal.signal(asked, handle)
            before.setdefault(asked, found)

    if threading.current_thread() is threading.main_thread():
        take()
        stop.retake = take
    try:
        yield
    finally:
        stop.retake = lambda: None
        for number, handler in before.items():
            signal.signal(number, handler)
