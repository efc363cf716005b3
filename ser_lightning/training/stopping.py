"""One way to stop: a request, honoured at a step's end, reported with its reason and an exit code."""

import signal
from collections.abc import Iterator
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

    def request(self, reason: str, exit_code: int) -> None:
        self.reason, self.exit_code = reason, exit_code

    def on_train_batch_end(self, *_: Any) -> None:
        self._honour()

    def on_validation_batch_end(self, *_: Any) -> None:
        self._honour()

    def _honour(self) -> None:
        if self.reason:
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

    try:
        for asked in (signal.SIGINT, signal.SIGTERM):
            before[asked] = signal.signal(asked, handle)
    except ValueError:
        before.clear()
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
