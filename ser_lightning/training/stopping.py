"""One way to stop: a request, honoured at a step's end, reported with its reason and an exit code."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import lightning as L

from ser_lightning.errors import UserError


class StoppedError(UserError):
    """The training was asked to stop; it resumes when it is started again."""

    def __init__(self, reason: str, exit_code: int) -> None:
        super().__init__(f"stopped by {reason}; start the same command again to go on after the last whole epoch")
        self.exit_code = exit_code


class StopRequest(L.Callback):
    """Set by `request` from anywhere (a signal, a watcher); raises at the end of the running step."""

    def __init__(self) -> None:
        self.reason, self.exit_code = "", 0
        self.retake: Callable[[], None] = lambda: None
        """Puts the handlers of `on_signals` back in place."""

    def request(self, reason: str, exit_code: int) -> None:
        self.reason, self.exit_code = reason, exit_code

    def on_train_start(self, *_: Any) -> None:
        # Lightning has put a handler of its own before ours, which under DDP starts a collective inside the signal:
        # it meets another one of the other ranks, and all wait for ever.
        self.retake()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # All ranks stop at the same step, or those that go on would wait for the others for ever.
        if trainer.strategy.reduce_boolean_decision(bool(self.reason), all=False):
            raise StoppedError(self.reason or "another rank's request", self.exit_code or 143)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Ranks may have unequal numbers of validation batches, so here only a single one can decide.
        if self.reason and trainer.world_size == 1:
            raise StoppedError(self.reason, self.exit_code)


@contextmanager
def on_signals(stop: StopRequest) -> Iterator[None]:
    """SIGINT and SIGTERM become a stop request; a second signal takes its usual course at once.

    Outside the main thread, where Python hands out no signals, nothing changes.
    """
    before: dict[int, Any] = {}

    def handle(number: int, _: FrameType | None) -> None:
        stop.request(signal.Signals(number).name, 128 + number)
        signal.signal(number, before[number])

    def take() -> None:
        for asked in (signal.SIGINT, signal.SIGTERM):
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
