"""Failures in a row: counted from the trials themselves, so over all workers and starts."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import optuna
import pytest
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from ser_lightning.sweeps.failures import FailureRow, rows
from ser_lightning.sweeps.sweep import sweep
from ser_lightning.sweeps.worker import TiredError

from . import trials

stand = trials.stand

NAN, BARE = "loss is not finite", "failed (exit code 1)"
BEGAN = datetime(2026, 1, 1)
End = Callable[[str, int], None]


@pytest.fixture
def study() -> Study:
    return optuna.create_study()


@pytest.fixture
def end(study: Study) -> End:
    """`end(reason, second)`: another trial ends then, well where there is no reason."""

    def ended(reason: str, second: int) -> None:
        made = create_trial(
            state=TrialState.FAIL if reason else TrialState.COMPLETE,
            value=None if reason else 0.5,
            user_attrs={"reason": reason},
        )
        made.datetime_start, made.datetime_complete = BEGAN, BEGAN + timedelta(seconds=second)
        study.add_trial(made)

    return ended


def test_trials_count_in_the_order_in_which_they_ended(study: Study, end: End) -> None:
    for reason, second in [(NAN, 1), ("", 9), (NAN, 2), (NAN, 3)]:
        end(reason, second)
    assert FailureRow(study, 3).reasons() == [NAN] * 3, "what ended well after them began before"
    assert FailureRow(study, 4).reasons() == []


def test_a_good_end_or_another_reason_begins_another_row(study: Study, end: End) -> None:
    for second, reason in enumerate([NAN, NAN, "", NAN, "crashed (SIGSEGV)", NAN]):
        end(reason, second)
    assert FailureRow(study, 2).reasons() == [NAN, NAN]
    assert FailureRow(study, 3).reasons() == []


@pytest.mark.parametrize(
    ("reasons", "longest"),
    [
        ([f"{BARE}: width 3 at /runs/3", f"{BARE}: width 4 at /runs/4"], 2),
        ([f"{BARE}: width 3", BARE, f"{BARE}: width 4"], 3),
        ([BARE, f"{BARE}: width 3", f"{BARE}: 'label'"], 2),
        ([f"{BARE}: 'label'", BARE, f"{BARE}: width 3"], 2),
        (["failed (exit code 2)", BARE], 1),
    ],
)
def test_reasons_are_compared_without_figures_and_paths(
    study: Study, end: End, reasons: list[str], longest: int
) -> None:
    for second, reason in enumerate(reasons):
        end(reason, second)
    assert max(map(len, rows(study.trials))) == longest


def test_somebodys_new_start_counts_anew_and_a_requeued_one_does_not(study: Study, end: End) -> None:
    row = FailureRow(study, 2)
    end(NAN, 1)
    row.begin(anew=True)
    end(NAN, 2)
    assert row.reasons() == [NAN, NAN], "nothing had stopped the study before"
    row.begin(anew=False)
    assert row.reasons() == [NAN, NAN]
    row.begin(anew=True)
    assert row.reasons() == []
    end(NAN, 3)
    assert row.reasons() == []
    end(NAN, 4)
    assert row.reasons() == [NAN, NAN]


def test_a_row_is_counted_over_workers_and_a_new_start_goes_on(stand: Any) -> None:
    """Two workers make one row of three between them; started again, three more fail before that ends, too."""
    space = {"model.mood": [2.0], trials.RATE: trials.RATES}
    own = ["model.name=erratic", "model.dropout=0.0"]
    stand.write(space, *own, study={"trials": 9, "failures": 3, "pruner": {"name": "none"}, "stale": 6.0})
    for process in [stand.process("sweep", "s.yaml") for _ in range(2)]:
        assert process.wait() == 1
        assert "trials in a row ended with: loss is not finite" in process.said
    first = sum(trial.state == TrialState.FAIL for trial in stand.study().trials)
    assert first in (3, 4), "one may have begun before the third ended"
    with pytest.raises(TiredError, match="3 trials in a row"):
        sweep(["s.yaml"])
    assert sum(trial.state == TrialState.FAIL for trial in stand.study().trials) == first + 3
