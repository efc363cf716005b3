"""Following: what runs write becomes reports, each once, and the pruner's word a reason to stop."""

import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.pruners import BasePruner, MedianPruner, ThresholdPruner, WilcoxonPruner
from optuna.study import Study
from optuna.trial import TrialState

from ser_lightning.errors import UserError
from ser_lightning.files import write_csv
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import Claimed
from ser_lightning.sweeps.first_folds import settle
from ser_lightning.sweeps.following import Following, follow
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun, Pruned

KEY = "validation.uar"
Begin = Callable[..., tuple[Begun, Following]]


def study(pruner: BasePruner, *directions: str) -> Study:
    return optuna.create_study(directions=directions or ["maximize"], pruner=pruner)


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """`begin(study, folds, firsts)`: a trial as its worker has it, and what follows it."""

    def make(
        whole: Study, folds: int = 1, firsts: Study | None = None, again: optuna.Trial | None = None
    ) -> tuple[Begun, Following]:
        trial = again or whole.ask()
        runs = [RunFolder(tmp_path / f"{trial.number}-{fold}") for fold in range(folds)]
        begun = Begun(Claimed(trial, trial.number, again is not None, None), {}, runs, [])
        return begun, follow(begun, whole, KEY, "median", firsts)

    return make


def epochs(run: RunFolder, *uars: float | None) -> None:
    rows = [[epoch, 3 * epoch, "" if uar is None else uar] for epoch, uar in enumerate(uars)]
    write_csv(run.metrics, ["epoch", "step", "validation/uar"], rows)


def finish(run: RunFolder, uar: float) -> None:
    run.path.mkdir(exist_ok=True)
    run.result.write_text(json.dumps({"validation": {"uar": uar}, "parameters": 10}))


def reported(whole: Study, number: int) -> dict[int, float]:
    return whole.trials[number].intermediate_values


def test_each_epoch_is_reported_once_and_a_gap_stays_one(begin: Begin) -> None:
    whole = study(MedianPruner())
    begun, following = begin(whole)
    assert following.tick() is None and reported(whole, 0) == {}
    epochs(begun.runs[0], 0.5, None, 0.7)
    assert following.tick() is None
    assert reported(whole, 0) == {0: 0.5, 2: 0.7}
    epochs(begun.runs[0], 0.4, 0.6, 0.7)
    following.tick()
    assert reported(whole, 0) == {0: 0.5, 1: 0.6, 2: 0.7}


def test_who_adopts_a_trial_reports_only_what_is_new(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = study(MedianPruner())
    begun, following = begin(whole)
    epochs(begun.runs[0], 0.5, 0.6)
    following.tick()
    told: list[int] = []
    report = optuna.Trial.report
    monkeypatch.setattr(optuna.Trial, "report", lambda trial, x, step: (told.append(step), report(trial, x, step))[1])
    again = optuna.Trial(whole, whole.trials[0]._trial_id)
    _, adopted = begin(whole, again=again)
    epochs(begun.runs[0], 0.5, 0.1, 0.8)  # the second epoch was trained again
    adopted.tick()
    assert told == [2]
    assert reported(whole, 0) == {0: 0.5, 1: 0.6, 2: 0.8}


def test_the_median_of_the_others_prunes(begin: Begin) -> None:
    """After epoch 1 the others stand at 0.6, 0.7, 0.8: who never had 0.7 by then goes, who had stays."""
    whole = study(MedianPruner(n_startup_trials=3, n_warmup_steps=1))
    for uar in (0.6, 0.7, 0.8):
        begun, following = begin(whole)
        epochs(begun.runs[0], 0.2, uar)
        assert following.tick() is None
        whole.tell(begun.claimed.number, uar)
    (low, behind), (high, ahead) = begin(whole), begin(whole)
    epochs(low.runs[0], 0.1, 0.69, 0.9)
    epochs(high.runs[0], 0.1, 0.71)
    assert behind.tick() == Pruned("pruned by median after epoch 1")
    assert ahead.tick() is None
    assert reported(whole, 3) == {0: 0.1, 1: 0.69}, "nothing more of a trial that is to stop"


def test_several_objectives_report_nothing(begin: Begin) -> None:
    whole = study(MedianPruner(), "maximize", "minimize")
    begun, following = begin(whole)
    epochs(begun.runs[0], 0.5)
    assert following.tick() is None and reported(whole, 0) == {}


def test_folds_are_steps_and_the_first_folds_epochs_are_another_study(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner()), study(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 3, firsts)
    epochs(begun.runs[0], 0.5, 0.6)
    assert following.tick() is None
    assert (reported(whole, 0), reported(firsts, 0)) == ({}, {0: 0.5, 1: 0.6})
    finish(begun.runs[0], 0.6)
    finish(begun.runs[1], 0.8)
    assert following.tick() is None
    assert reported(whole, 0) == {0: 0.6, 1: 0.8}
    first = firsts.trials[0]
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.6), "others are compared with it from now on"
    finish(begun.runs[2], 0.7)
    following.close()
    assert value(begun.runs, KEY) == pytest.approx(0.7)


def test_a_first_fold_is_pruned_by_its_epochs(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner()), study(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 3, firsts)
    epochs(begun.runs[0], 0.4, 0.2)
    assert following.tick() == Pruned("pruned by median after epoch 1 of the first fold")
    whole.tell(begun.claimed.number, None, TrialState.PRUNED)
    following.close()
    assert [trial.state for trial in firsts.trials] == [TrialState.PRUNED]


def test_epochs_of_a_first_fold_that_was_quicker_than_its_follower_are_reported_too(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner()), study(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 2, firsts)
    epochs(begun.runs[0], 0.4, 0.2, 0.1)
    finish(begun.runs[0], 0.4)
    assert following.tick() is None, "there is nothing left of it to save"
    (first,) = firsts.trials
    assert (first.intermediate_values, first.state) == ({0: 0.4, 1: 0.2, 2: 0.1}, TrialState.COMPLETE)


def test_who_adopts_a_trial_goes_on_with_its_first_fold(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner()), study(MedianPruner())
    _, other = begin(whole, 2, firsts)
    begun, following = begin(whole, 2, firsts)
    epochs(begun.runs[0], 0.4, 0.5)
    following.tick()
    following.close()  # let go: the trial itself is unfinished
    assert [trial.state for trial in firsts.trials] == [TrialState.RUNNING] * 2
    again = optuna.Trial(whole, whole.trials[1]._trial_id)
    _, adopted = begin(whole, 2, firsts, again)
    epochs(begun.runs[0], 0.4, 0.9, 0.6)
    adopted.tick()
    assert reported(firsts, 1) == {0: 0.4, 1: 0.5, 2: 0.6} and len(firsts.trials) == 2
    whole.tell(1, None, TrialState.FAIL)
    adopted.close()
    assert [trial.state for trial in firsts.trials] == [TrialState.RUNNING, TrialState.FAIL]
    assert other.tick() is None, "the other trial's first fold goes on"


def test_the_end_of_a_sweep_leaves_no_first_fold_running(begin: Begin) -> None:
    """Workers die after a fold's score, before it, and while a trial is pruned; nobody closes anything."""
    whole, firsts = study(WilcoxonPruner()), study(MedianPruner())
    followed = [begin(whole, 2, firsts)[0] for _ in range(4)]
    followed[0].claimed.trial.report(0.6, 0)
    for number, state in ((0, TrialState.FAIL), (1, TrialState.FAIL), (2, TrialState.PRUNED)):
        whole.tell(number, None, state)
    for _ in range(2):
        settle(firsts, whole)
    assert [(trial.state, trial.value) for trial in firsts.trials] == [
        (TrialState.COMPLETE, 0.6),
        (TrialState.FAIL, None),
        (TrialState.PRUNED, None),
        (TrialState.RUNNING, None),
    ]


def test_a_fold_without_the_number_ends_its_trial_with_these_words(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner()), study(MedianPruner())
    begun, following = begin(whole, 2, firsts)
    begun.runs[0].path.mkdir()
    begun.runs[0].result.write_text(json.dumps({"validation": {}}))
    assert following.tick() == following.tick() is not None
    assert str(following.tick()).startswith("Failed(why='no finite number at `validation.uar`")


def test_folds_that_are_worse_than_the_best_trials_prune_by_wilcoxon(begin: Begin) -> None:
    """Worse in every fold: one-sided p = 1/2^n, below 0.1 from the fourth fold on."""
    whole, firsts = study(WilcoxonPruner(p_threshold=0.1)), study(MedianPruner())
    best, following = begin(whole, 6, firsts)
    for fold, run in enumerate(best.runs):
        finish(run, 0.8 + fold / 100)
    following.tick()
    whole.tell(0, value(best.runs, KEY))
    worse, following = begin(whole, 6, firsts)
    for fold, run in enumerate(worse.runs):
        finish(run, 0.7 + fold / 90)
        why = following.tick()
        assert bool(why) == (0.5 ** (fold + 1) < 0.1), fold
        if why:
            assert why == Pruned("pruned by wilcoxon after fold 3")
            break
    assert len(reported(whole, 1)) == 4


def test_a_trial_whose_folds_are_all_there_is_not_pruned(begin: Begin) -> None:
    whole, firsts = study(WilcoxonPruner(p_threshold=0.1)), study(MedianPruner())
    for level in (0.8, 0.2):
        begun, following = begin(whole, 5, firsts)
        for fold, run in enumerate(begun.runs):
            finish(run, level + fold / 100)
        assert following.tick() is None
        whole.tell(begun.claimed.number, value(begun.runs, KEY))
    assert len(reported(whole, 1)) == 5


def test_a_first_fold_that_somebody_finished_before_is_not_asked_for_again(begin: Begin, tmp_path: Path) -> None:
    whole, firsts = study(WilcoxonPruner()), study(MedianPruner())
    finish(RunFolder(tmp_path / "0-0"), 0.6)
    _, following = begin(whole, 2, firsts)
    following.tick()
    following.close()
    assert reported(whole, 0) == {0: 0.6} and firsts.trials == []


@pytest.mark.parametrize("content", [{"uar": None}, {"uar": "high"}, {"uar": True}, {"wa": 0.5}])
def test_a_result_without_the_number_is_named(tmp_path: Path, content: dict[str, object]) -> None:
    run = RunFolder(tmp_path)
    run.result.write_text(json.dumps({"validation": content}))
    with pytest.raises(UserError, match=r"no finite number at `validation\.uar` in result\.json"):
        value([run], KEY)
