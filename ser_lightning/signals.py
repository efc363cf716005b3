"""What signals mean to this program: Ctrl-C, and the two by which schedulers talk to every process of a job."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ser_lightning.errors import StoppedError

SCHEDULERS = (signal.SIGUSR1, signal.SIGTERM)
"""The warning that the time limit is near, and the request to end."""


@contextmanager
def stopping() -> Iterator[None]:
    """End what is inside by `StoppedError` on either of SCHEDULERS, in order, as Ctrl-C does by KeyboardInterrupt.

    Trainings, which can go on to the end of a step, have their own way (training/stopping.py). Outside the main
    thread, where Python hands out no signals, nothing changes.
    """
    asked: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if len(asked) == 1:  # a scheduler repeats itself, and would interrupt the orderly end
            raise StoppedError(signal.Signals(number).name, 128 + number)

    mine = SCHEDULERS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, stop) for number in mine}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Start children inside: what they and their server inherit is that SCHEDULERS are held back.

    Else the server, which multiprocessing starts with the first child, would end with a job's first signal, and with it
    what is known of the children. A child calls `unshield`.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SCHEDULERS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def unshield() -> None:
    """Let the signals through that were held back since this process began."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SCHEDULERS)
