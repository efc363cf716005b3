"""A signal becomes one request, honoured at a step's end; a second Ctrl-C takes its usual course."""

import os
import signal
import sys
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel

from ser_lightning.errors import StoppedError
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.training.stopping import Stopping, interrupts

ALONE: Any = SimpleNamespace(world_size=1)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGINT, 130)])
def test_a_signal_is_honoured_at_the_end_of_the_step(number: int, code: int) -> None:
    stop = StopRequest()
    with on_signals(stop):
        Stopping(stop).on_train_batch_end(ALONE)
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError, match=signal.Signals(number).name) as caught:
            Stopping(stop).on_train_batch_end(ALONE)
    assert caught.value.exit_code == code


def test_a_second_interrupt_is_not_held_back_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with on_signals(StopRequest()):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize("numbers", [(signal.SIGUSR1, signal.SIGTERM), (signal.SIGTERM, signal.SIGUSR1)])
def test_schedulers_repeat_themselves_and_the_end_outweighs_the_warning(numbers: tuple[int, ...]) -> None:
    stop = StopRequest()
    with on_signals(stop):
        for number in (*numbers, *numbers):
            os.kill(os.getpid(), number)
    assert (stop.reason, stop.exit_code) == ("SIGTERM", 143)


def test_a_rank_stops_when_another_was_asked_with_what_that_one_was_asked() -> None:
    strategy = SimpleNamespace(root_device="cpu", reduce=lambda own, reduce_op: torch.maximum(own, torch.tensor(138)))
    together: Any = SimpleNamespace(world_size=2, strategy=strategy)
    with pytest.raises(StoppedError, match="another rank") as caught:
        Stopping(StopRequest()).on_train_batch_end(together)
    assert caught.value.exit_code == 138


class Interrupted(L.Callback):
    def on_train_batch_end(self, *_: object) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_in_a_loop_of_lightnings_stays_one() -> None:
    before = signal.getsignal(signal.SIGINT)
    model = BoringModel()
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        callbacks=[Interrupted()], enable_model_summary=False,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt), interrupts():
        trainer.fit(model)
    assert signal.getsignal(signal.SIGINT) == before, "Lightning is deaf to the next"


def test_an_exit_of_another_kind_is_left_as_it_is() -> None:
    with pytest.raises(SystemExit) as caught, interrupts():
        sys.exit(3)
    assert caught.value.code == 3
