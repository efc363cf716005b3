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
from ser_lightning.sweeps.following import Following, follow
from ser_lightning.sweeps.pruning import FoldPruner, first_fold_of, folds_of
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun, Pruned

KEY = "validation.uar"
Begin = Callable[..., tuple[Begun, Following]]


def study(pruner: BasePruner, *directions: str) -> Study:
    return optuna.create_study(directions=directions or ["maximize"], pruner=pruner)


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """`begin(study, folds)`: a trial as its worker has it, of so many folds, and what follows it."""

    def make(whole: Study, folds: int = 0, again: optuna.Trial | None = None) -> tuple[Begun, Following]:
        trial = again or whole.ask()
        runs = [RunFolder(tmp_path / f"{trial.number}-{fold}") for fold in range(folds or 1)]
        begun = Begun(Claimed(trial, trial.number, again is not None, None), {}, runs, [])
        return begun, follow(begun, whole, KEY, "median", folds > 0)

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


def folded(within: BasePruner | None = None, between: BasePruner | None = None) -> Study:
    """A study of cross-validations."""
    return study(FoldPruner(within or MedianPruner(), between or WilcoxonPruner()))


def of_first(whole: Study, number: int) -> dict[int, float]:
    """Epochs of a trial's first fold, as they were reported."""
    return first_fold_of(whole.trials[number]).intermediate_values


def of_folds(whole: Study, number: int) -> dict[int, float]:
    return folds_of(whole.trials[number]).intermediate_values


def test_folds_are_steps_and_the_first_folds_epochs_are_others(begin: Begin) -> None:
    whole = folded(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 3)
    epochs(begun.runs[0], 0.5, 0.6)
    assert following.tick() is None
    assert (of_folds(whole, 0), of_first(whole, 0)) == ({}, {0: 0.5, 1: 0.6})
    assert first_fold_of(whole.trials[0]).state == TrialState.RUNNING
    finish(begun.runs[0], 0.6)
    finish(begun.runs[1], 0.8)
    assert following.tick() is None
    assert of_folds(whole, 0) == {0: 0.6, 1: 0.8}
    first = first_fold_of(whole.trials[0])
    assert (first.state, first.value) == (TrialState.COMPLETE, 0.6), "others are compared with it from now on"
    finish(begun.runs[2], 0.7)
    assert value(begun.runs, KEY) == pytest.approx(0.7)


def test_a_first_fold_is_pruned_by_its_epochs(begin: Begin) -> None:
    whole = folded(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 3)
    epochs(begun.runs[0], 0.4, 0.2)
    assert following.tick() == Pruned("pruned by median after epoch 1 of the first fold")
    whole.tell(begun.claimed.number, None, TrialState.PRUNED)
    assert first_fold_of(whole.trials[0]).state == TrialState.PRUNED


def test_epochs_of_a_first_fold_that_was_quicker_than_its_follower_are_reported_too(begin: Begin) -> None:
    whole = folded(ThresholdPruner(lower=0.3))
    begun, following = begin(whole, 2)
    epochs(begun.runs[0], 0.4, 0.2, 0.1)
    finish(begun.runs[0], 0.4)
    assert following.tick() is None, "there is nothing left of it to save"
    first = first_fold_of(whole.trials[0])
    assert (first.intermediate_values, first.state) == ({0: 0.4, 1: 0.2, 2: 0.1}, TrialState.COMPLETE)


def test_who_adopts_a_trial_goes_on_with_its_first_fold(begin: Begin) -> None:
    whole = folded()
    begun, following = begin(whole, 2)
    epochs(begun.runs[0], 0.4, 0.5)
    following.tick()
    again = optuna.Trial(whole, whole.trials[0]._trial_id)
    _, adopted = begin(whole, 2, again)
    epochs(begun.runs[0], 0.4, 0.9, 0.6)
    adopted.tick()
    assert of_first(whole, 0) == {0: 0.4, 1: 0.5, 2: 0.6}


def test_a_fold_without_the_number_ends_its_trial_with_these_words(begin: Begin) -> None:
    begun, following = begin(folded(), 2)
    begun.runs[0].path.mkdir()
    begun.runs[0].result.write_text(json.dumps({"validation": {}}))
    assert following.tick() == following.tick() is not None
    assert str(following.tick()).startswith("Failed(why='no finite number at `validation.uar`")


def test_folds_that_are_worse_than_the_best_trials_prune_by_wilcoxon(begin: Begin) -> None:
    """Worse in every fold: one-sided p = 1/2^n, below 0.1 from the fourth fold on."""
    whole = folded(between=WilcoxonPruner(p_threshold=0.1))
    best, following = begin(whole, 6)
    epochs(best.runs[0], 0.7, 0.8)
    for fold, run in enumerate(best.runs):
        finish(run, 0.8 + fold / 100)
    following.tick()
    whole.tell(0, value(best.runs, KEY))
    worse, following = begin(whole, 6)
    for fold, run in enumerate(worse.runs):
        finish(run, 0.7 + fold / 90)
        why = following.tick()
        assert bool(why) == (0.5 ** (fold + 1) < 0.1), fold
        if why:
            assert why == Pruned("pruned by wilcoxon after fold 3")
            break
    assert len(of_folds(whole, 1)) == 4


def test_a_trial_whose_folds_are_all_there_is_not_pruned(begin: Begin) -> None:
    whole = folded(between=WilcoxonPruner(p_threshold=0.1))
    for level in (0.8, 0.2):
        begun, following = begin(whole, 5)
        for fold, run in enumerate(begun.runs):
            finish(run, level + fold / 100)
        assert following.tick() is None
        whole.tell(begun.claimed.number, value(begun.runs, KEY))
    assert len(of_folds(whole, 1)) == 5


def test_a_first_fold_that_somebody_finished_before_is_not_asked_for_again(begin: Begin, tmp_path: Path) -> None:
    whole = folded(ThresholdPruner(lower=0.9))
    finish(RunFolder(tmp_path / "0-0"), 0.6)
    epochs(RunFolder(tmp_path / "0-0"), 0.5, 0.6)
    _, following = begin(whole, 2)
    assert following.tick() is None
    assert (of_folds(whole, 0), of_first(whole, 0)) == ({0: 0.6}, {})


@pytest.mark.parametrize("content", [{"uar": None}, {"uar": "high"}, {"uar": True}, {"wa": 0.5}])
def test_a_result_without_the_number_is_named(tmp_path: Path, content: dict[str, object]) -> None:
    run = RunFolder(tmp_path)
    run.result.write_text(json.dumps({"validation": content}))
    with pytest.raises(UserError, match=r"no finite number at `validation\.uar` in result\.json"):
        value([run], KEY)
