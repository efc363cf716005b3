"""A signal becomes one request, honoured at a step's end; the second takes its usual course."""

import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest

from ser_lightning.training.stopping import StoppedError, StopRequest, on_signals

ALONE: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: decision))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_honoured_at_the_end_of_the_step(number: int, code: int) -> None:
    stop = StopRequest()
    with on_signals(stop):
        stop.on_train_batch_end(ALONE)
        os.kill(os.getpid(), number)
        with pytest.raises(StoppedError, match=signal.Signals(number).name) as caught:
            stop.on_train_batch_end(ALONE)
    assert caught.value.exit_code == code


def test_a_second_interrupt_is_not_held_back_and_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with on_signals(StopRequest()):
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_rank_stops_when_another_was_asked() -> None:
    together: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=lambda decision, all: True))
    with pytest.raises(StoppedError, match="another rank") as caught:
        StopRequest().on_train_batch_end(together)
    assert caught.value.exit_code == 143
