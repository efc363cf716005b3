"""The live table: counts, what leads, the time left, and how seldom a slow storage is asked."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from ser_lightning.console import console
from ser_lightning.processes.identity import ProcessIdentity
from ser_lightning.sweeps import board as module
from ser_lightning.sweeps.board import TrialBoard, duration
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import Standing, leading
from ser_lightning.sweeps.study import StudyFolder, open_study

RATE = "training.learning_rate"
NOW = datetime(2026, 1, 1, 12)
Small = Callable[..., Frozen]


def trial(state: TrialState, number: int = 0, began: float = 0, lasted: float = 0, **given: Any) -> FrozenTrial:
    """A trial that began so many seconds before NOW."""
    start = None if state == TrialState.WAITING else NOW - timedelta(seconds=began)
    made = create_trial(state=state, **given)
    made.number, made.datetime_start = number, start
    made.datetime_complete = start + timedelta(seconds=lasted) if start and state.is_finished() else None
    return made


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "studies" / "small")


@pytest.fixture
def claims(folder: StudyFolder, small: Small) -> tuple[Frozen, Claims]:
    frozen = small(trials=4)
    return frozen, Claims(open_study(folder, frozen), folder, frozen.study)


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(console, "_width", 300)
    yield


def run_one(found: tuple[Frozen, Claims], state: TrialState, value: float | None = None, reason: str = "") -> None:
    frozen, claims = found
    claimed = claims.claim()
    assert claimed
    frozen.searched.suggest(claimed.trial)
    claims.finish(claimed, state, None if value is None else [value], reason)


def test_every_trial_is_counted_once() -> None:
    states = [TrialState.COMPLETE] * 4 + [TrialState.PRUNED] * 2 + [TrialState.FAIL] + [TrialState.RUNNING] * 3
    standing = Standing(
        [trial(s, value=0.5 if s == TrialState.COMPLETE else None) for s in [*states, TrialState.WAITING]]
    )
    assert standing.counts() == "7 of 11 trials ended: 4 complete, 2 pruned, 1 failed; 3 running, 1 waiting"


def test_failures_are_told_apart_by_their_reasons() -> None:
    reasons = ["NaN", "out of memory", "out of memory"]
    standing = Standing([trial(TrialState.FAIL, i, user_attrs={"reason": r}) for i, r in enumerate(reasons)])
    found = {reason: [t.number for t in trials] for reason, trials in standing.failures.items()}
    assert list(found.items()) == [("out of memory", [1, 2]), ("NaN", [0])]


def test_the_time_left_is_what_the_last_trials_took_shared_among_those_at_work() -> None:
    ended = [trial(TrialState.COMPLETE, began=900, lasted=seconds, value=0.5) for seconds in (30, 90)]
    running = [trial(TrialState.RUNNING, began=20), trial(TrialState.RUNNING, began=100)]
    waiting = [trial(TrialState.WAITING)] * 5
    # Each takes 60 s: the first running one has 40 s left, the second is overdue, five are to come.
    assert Standing([*ended, *running, *waiting]).seconds_left(2, NOW) == pytest.approx((40 + 0 + 5 * 60) / 2)
    assert Standing([*running, *waiting]).seconds_left(2, NOW) is None
    assert Standing([*ended, *waiting]).seconds_left(0, NOW) is None


def test_old_durations_count_for_nothing() -> None:
    old = [trial(TrialState.COMPLETE, lasted=1000, value=0.5)] * 10
    new = [trial(TrialState.COMPLETE, lasted=10, value=0.5)] * 20
    assert Standing([*old, *new, trial(TrialState.WAITING)]).seconds_left(1, NOW) == pytest.approx(10)


@pytest.mark.parametrize(("direction", "expected"), [("maximize", [2, 3, 0]), ("minimize", [0, 2, 3])])
def test_infeasible_trials_never_lead_and_of_equal_ones_the_earlier_does(direction: str, expected: list[int]) -> None:
    study = optuna.create_study(direction=direction)
    for value, excess in ((0.5, 0), (0.9, 1), (0.8, -1), (0.8, 0), (0.1, 1)):
        study.add_trial(create_trial(value=value, constraints={"parameters": excess}))
    study.add_trial(create_trial(state=TrialState.PRUNED))
    assert [t.number for t in leading(study, study.trials)] == expected
    assert [t.number for t in leading(study, study.trials, most=1)] == expected[:1]


def test_the_front_is_what_brute_force_finds() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    values = np.random.default_rng(0).uniform(size=(60, 2))
    excess = [float(i % 5 == 0) for i in range(60)]
    for pair, one in zip(values, excess, strict=True):
        study.add_trial(create_trial(values=list(pair), constraints={"parameters": one}))
    kept = [i for i in range(60) if not excess[i]]
    front = [i for i in kept if not any(values[j, 0] > values[i, 0] and values[j, 1] < values[i, 1] for j in kept)]
    assert [t.number for t in leading(study, study.trials)] == sorted(front, key=lambda i: -values[i, 0])


def test_without_a_terminal_a_line_for_each_own_trial_that_ends_and_the_table_at_the_end(
    claims: tuple[Frozen, Claims], folder: StudyFolder, capsys: pytest.CaptureFixture[str], wide: None
) -> None:
    run_one(claims, TrialState.COMPLETE, 0.25)
    with TrialBoard(*claims) as board:
        run_one(claims, TrialState.COMPLETE, 0.75)
        run_one(claims, TrialState.FAIL, reason="out of memory")
        board.look()
        told = capsys.readouterr().err.splitlines()
        rate = claims[1].study.trials[1].params[RATE]
        assert told[0] == f"trial 1: complete, validation.uar 0.75, 0.0 min: {RATE}={float(f'{rate:.4g}')}"
        assert told[1].startswith("trial 2: failed, out of memory, 0.0 min") and len(told) == 2
        frozen, mine = claims
        elsewhere = Claims(mine.study, folder, frozen.study, ProcessIdentity("node7", "node7/1", 7, "1"))
        run_one((frozen, elsewhere), TrialState.COMPLETE, 0.5)
    last = capsys.readouterr().err
    assert "trial 3:" not in last
    assert "4 of 4 trials ended: 3 complete, 0 pruned, 1 failed" in last
    assert "best: trial 1, validation.uar 0.75" in last and "failed: 1 out of memory" in last


def test_a_row_for_each_trial_that_runs(
    claims: tuple[Frozen, Claims], tmp_path: Path, wide: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen, mine = claims
    claimed = mine.claim()
    assert claimed
    frozen.searched.suggest(claimed.trial)
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch,step,seconds,validation/uar\n0,10,1.0,0.5\n1,20,1.0,0.625\n")
    mine.started(claimed.number, run)
    board = TrialBoard(frozen, mine)
    board.look()
    with console.capture() as shown:
        console.print(board.shown())
    row = next(line for line in shown.get().splitlines() if str(mine.leases.me) in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells[:4] == ["0", str(mine.leases.me), "2", "0.625"] and cells[5].startswith(f"{RATE}=")

    def stale(path: Path) -> object:
        raise OSError(116, "Stale file handle", str(path))

    monkeypatch.setattr(module, "read_history", stale)
    assert board._progress(mine.study.trials[0]) == ("", ""), "another host replaced it while it was read"


def test_a_slow_storage_is_asked_seldom(claims: tuple[Frozen, Claims], monkeypatch: pytest.MonkeyPatch) -> None:
    frozen, mine = claims
    asked: list[float] = []

    def slow(**_: object) -> list[FrozenTrial]:
        asked.append(clock[0])
        clock[0] += 0.5
        return []

    clock = [100.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    directions = mine.study.directions
    mine.study = cast(Any, SimpleNamespace(get_trials=slow, directions=directions))
    board = TrialBoard(frozen, mine)
    while clock[0] < 160:
        board.tick()
        clock[0] += 0.5
    assert len(asked) == 3 and sum([0.5] * 3) <= 0.03 * 60
    assert min(np.diff(asked)) >= 0.5 / module.SHARE


@pytest.mark.parametrize(
    ("seconds", "said"), [(4.4, "4 s"), (100, "2 min"), (5369, "89 min"), (5400, "1 h 30 min"), (11100, "3 h 05 min")]
)
def test_durations_are_said(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_ten_thousand_trials_are_asked_for_once_and_not_copied(claims: tuple[Frozen, Claims]) -> None:
    frozen, mine = claims
    study = optuna.create_study(direction="maximize")
    space = {RATE: FloatDistribution(1e-4, 1e-2, log=True)}
    made = create_trial(value=0.5, params={RATE: 1e-3}, distributions=space)
    study.add_trials([made] * 10_000)
    asked: list[dict[str, object]] = []

    def get_trials(**words: object) -> list[FrozenTrial]:
        asked.append(words)
        return study.get_trials(**words)  # type: ignore[arg-type]

    mine.study = cast(Any, SimpleNamespace(get_trials=get_trials, directions=study.directions))
    board = TrialBoard(frozen, mine)
    board.look()
    assert [words["deepcopy"] for words in asked] == [False]
    assert board.standing.ended == 10_000
