"""One way to stop: a request, honoured at a step's end, reported with its reason and an exit code."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as L
import torch

from ser_lightning.errors import StoppedError
from ser_lightning.signals import SCHEDULERS

SIGNALS = (signal.SIGINT, *SCHEDULERS)


class StopRequest(L.Callback):
    """Set by `request` from anywhere (a signal, a watcher); raises at the end of the running step."""

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

    def on_train_start(self, *_: Any) -> None:
        # Lightning has put a handler of its own before ours, which under DDP starts a collective inside the signal:
        # it meets another one of the other ranks, and all wait for ever.
        self.retake()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # All ranks stop at the same step, or those that go on would wait for the others for ever.
        code = self.exit_code if trainer.world_size == 1 else self._highest(trainer)
        if code:
            raise StoppedError(self.reason or "another rank's request", code)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Ranks may have unequal numbers of validation batches, so here only a single one can decide.
        if self.reason and trainer.world_size == 1:
            raise StoppedError(self.reason, self.exit_code)

    def _highest(self, trainer: L.Trainer) -> int:
        own = torch.tensor(self.exit_code, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(own, reduce_op="max"))


@contextmanager
def interrupts() -> Iterator[None]:
    """Ctrl-C in one of Lightning's loops stays an interrupt: Lightning exits with code 1, deaf to any more.

    Raises:
        KeyboardInterrupt: what Lightning caught.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, before)
        raise KeyboardInterrupt from error


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
