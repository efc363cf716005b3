"""A stop request in one of Lightning's trainings: honoured at the end of the running step, by all ranks at once."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch

from ser_lightning.errors import StoppedError
from ser_lightning.processes.stopping import StopRequest


class Stopping(L.Callback):
    """Raises StoppedError at a step's end once `stop` was asked, in every rank if it was in one."""

    def __init__(self, stop: StopRequest) -> None:
        self.stop = stop

    def on_train_start(self, *_: Any) -> None:
        # Lightning has put a handler of its own before ours, which under DDP starts a collective inside the signal:
        # it meets another one of the other ranks, and all wait for ever.
        self.stop.retake()

    def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        self.stop.step_ends(trainer)
        # All ranks stop at the same step, or those that go on would wait for the others for ever.
        code = self.stop.exit_code if trainer.world_size == 1 else self._highest(trainer)
        if code:
            raise StoppedError(self.stop.reason or "another rank's request", code)

    def on_validation_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
        # Ranks may have unequal numbers of validation batches, so here only a single one can decide.
        if self.stop.reason and trainer.world_size == 1:
            raise StoppedError(self.stop.reason, self.stop.exit_code)

    def _highest(self, trainer: L.Trainer) -> int:
        own = torch.tensor(self.stop.exit_code, device=trainer.strategy.root_device)
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
