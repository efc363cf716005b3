"""Who waits says for what, again and again, and gives up where there is a limit."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from ser_lightning import waiting
from ser_lightning.errors import UserError
from ser_lightning.processes import meeting
from ser_lightning.processes.meeting import READY, Meeting
from ser_lightning.processes.scheduler import Allocation
from ser_lightning.waiting import EVERY, Waiting, announced

from .waiting import until


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`clock(seconds)` lets that time pass, for what looks at the clock."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def passed(seconds: float) -> None:
        now[0] += seconds

    return passed


def test_it_says_for_what_every_few_minutes_and_gives_up(
    clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]
) -> None:
    found = Waiting(limit=3.5 * EVERY)
    for _ in range(6):
        found.still("the others")
        clock(EVERY / 2 + 1)
    assert capsys.readouterr().err.splitlines() == [
        "waiting for the others, 3 minutes so far",
        "waiting for the others, 6 minutes so far",
    ]
    clock(EVERY)
    with pytest.raises(UserError, match=r"waited 1\d minutes for the others: given up"):
        found.still("the others")


def test_without_a_limit_it_goes_on(clock: Callable[[float], None], capsys: pytest.CaptureFixture[str]) -> None:
    found = Waiting()
    for _ in range(50):
        clock(3600)
        found.still("a queued job")
    assert capsys.readouterr().err.count("waiting for a queued job") == 50


def test_a_call_that_blocks_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    said = list[str]()
    monkeypatch.setattr(waiting, "EVERY", 0.001)
    monkeypatch.setattr(waiting, "say", said.append)
    with announced("the lock"):
        until(lambda: said, "a word")
    assert said[0].startswith("waiting for the lock, ")
    monkeypatch.setattr(waiting, "EVERY", 3600.0)
    with announced("nothing"):
        pass
    assert "nothing" not in " ".join(said)


def naps(monkeypatch: pytest.MonkeyPatch, nap: Callable[[float], None]) -> None:
    """`nap` instead of sleeping, in the meeting alone."""
    monkeypatch.setattr("ser_lightning.processes.meeting.time", SimpleNamespace(sleep=nap, time=time.time))


def ranks() -> list[Allocation]:
    return [Allocation("7", "7", 0, "0", 2, 2, rank, 0, rank, "n1") for rank in (0, 1)]


def test_a_first_rank_that_died_without_a_word_is_not_waited_for_for_ever(
    tmp_path: Path, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Meeting(str(tmp_path), rank) for rank in ranks())
    naps(monkeypatch, lambda _: clock(100))
    with pytest.raises(UserError, match=rf"waited \d+ minutes for a sign of the first rank in {second.path}"):
        second.wait(READY)
    first._tell(meeting.PREPARING)
    with pytest.raises(UserError, match="a sign of the first rank, on n1, which is preparing in"):
        second.wait(READY)


def test_one_that_works_for_long_is_waited_for(
    tmp_path: Path, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Meeting(str(tmp_path), rank) for rank in ranks())
    monkeypatch.setattr(meeting, "BEAT", 0.001)
    beats = {0}

    def nap(_: float) -> None:
        """Until the next beat, which comes long after the last one."""
        until(lambda: first.path.stat().st_mtime_ns not in beats, "a beat", seconds=1e9)
        beats.add(first.path.stat().st_mtime_ns)
        clock(meeting.SILENCE - 1)
        if len(beats) == 6:
            first.call(tmp_path / "run")

    naps(monkeypatch, nap)
    with first.held():
        assert second.wait(READY)["run"] == str(tmp_path / "run")
    assert len(beats) >= 6
