"""A scheduler's signal ends what a verb does, whatever handles errors on the way."""

import os
import signal

import pytest

from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.signals import SCHEDULERS, stopping


@pytest.mark.parametrize("number", SCHEDULERS)
def test_no_handler_of_errors_takes_a_signal_for_one(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(StoppedError, match=signal.Signals(number).name) as caught, stopping():
        try:
            os.kill(os.getpid(), number)
        except UserError:
            pytest.fail("a broken file, it was said")
    assert (caught.value.exit_code, caught.value.progressed) == (128 + number, True)
    assert signal.getsignal(number) == before


def test_a_second_signal_does_not_interrupt_the_orderly_end() -> None:
    ended: list[str] = []
    with pytest.raises(StoppedError, match="SIGUSR1"), stopping():
        try:
            os.kill(os.getpid(), signal.SIGUSR1)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            ended.append("in order")
    assert ended == ["in order"]
