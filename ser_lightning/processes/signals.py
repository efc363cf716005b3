"""What signals mean to this program: Ctrl-C, and the two by which schedulers talk to every process of a job."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ser_lightning.errors import StoppedError

SCHEDULERS = (signal.SIGUSR1, signal.SIGTERM)
"""The warning that the time limit is near, and the request to end."""


class StopSignal(BaseException):
    """On its way from the signal to the end of `stopping`; no error, which one who expects errors would take for his.

    An audio file that was being read would else count as broken, and the work would go on until it is killed.
    """

    progressed, requeues = StoppedError.progressed, StoppedError.requeues

    def __init__(self, number: int) -> None:
        told = StoppedError(signal.Signals(number).name, 128 + number)
        super().__init__(str(told))
        self.reason, self.exit_code = told.reason, told.exit_code


@contextmanager
def stopping() -> Iterator[None]:
    """End what is inside in order on either of SCHEDULERS, as Ctrl-C does by KeyboardInterrupt.

    Trainings, which can go on to the end of a step, have their own way (stopping.py). Outside the main
    thread, where Python hands out no signals, nothing changes.

    Raises:
        StoppedError: one came.
    """
    asked: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        asked.append(number)
        if len(asked) == 1:  # a scheduler repeats itself, and would interrupt the orderly end
            raise StopSignal(number)

    mine = SCHEDULERS if threading.current_thread() is threading.main_thread() else ()
    before = {number: signal.signal(number, stop) for number in mine}
    try:
        yield
    except StopSignal as stopped:
        error = StoppedError(stopped.reason, stopped.exit_code)
        error.progressed, error.requeues = stopped.progressed, stopped.requeues
        raise error from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def deaf() -> Iterator[None]:
    """Neither of SCHEDULERS does anything inside; only for the main thread, and for a moment."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SCHEDULERS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shielded() -> Iterator[None]:
    """Hold SCHEDULERS back inside, also from children that are started there, and from their server.

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
