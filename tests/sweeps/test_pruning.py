"""Pruning between folds: a hopeless trial is stopped there, and a study of too few folds says that none will be."""

import random
import signal
from itertools import product
from typing import Any

import optuna
import pytest
from optuna.pruners import WilcoxonPruner
from optuna.trial import TrialState

from ser_lightning.errors import ConfigError
from ser_lightning.files import read_csv
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps import samplers
from ser_lightning.sweeps.pruning import (
    FIRST_EPOCH,
    FoldPruner,
    check_folds,
    first_fold_of,
    fold_pruner,
    folds_needed,
    folds_of,
)
from ser_lightning.sweeps.settings import InnerFolds, StudySettings
from ser_lightning.sweeps.sweep import sweep
from ser_lightning.sweeps.sweep_file import read_sweep

from ..waiting import until
from . import trials
from .trials import Stand, stand

__all__ = ["stand"]

LATE = {"name": "median", "n_startup_trials": 9}
"""Prunes nothing within the first fold."""


@pytest.fixture
def folded(stand: Stand) -> Stand:
    """The stand, where a sweep is of the corpus's six speakers, each left out once."""
    stand.words = [word for word in stand.words if not word.startswith("split.")] + ["split=loso"]
    return stand


def test_a_hopeless_trial_is_pruned_between_its_folds(folded: Stand) -> None:
    """What learns nothing is worse in each fold, so that p = 1/2^4 after the fourth of six."""
    rates = [0.03, 1e-9]
    start = [{trials.RATE: rate} for rate in rates]
    settings = {"trials": 2, "crossval": {"folds": None}, "pruner": LATE}
    study = folded.sweep({trials.RATE: rates}, "training.max_epochs=6", start=start, study=settings)
    good, bad = study.trials
    first, second = (folds_of(trial).intermediate_values for trial in study.trials)
    assert good.state == TrialState.COMPLETE and len(first) == 6
    assert all(second[fold] < first[fold] for fold in range(4))
    assert (bad.state, bad.user_attrs["reason"]) == (TrialState.PRUNED, "pruned by wilcoxon after fold 3")
    runs = [RunFolder(path.parent) for path in folded.folder.glob("runs/*/config.yaml")]
    finished = [run.read_config().split["fold"] for run in runs if run.finished and _rate(run) == rates[1]]
    assert sorted(finished) in ([0, 1, 2, 3], [0, 1, 2, 3, 4]), "a fold may end while it is asked to stop"
    for trial in study.trials:
        assert sorted(first_fold_of(trial).intermediate_values) == list(range(6))
        assert first_fold_of(trial).state == TrialState.COMPLETE


def _rate(run: RunFolder) -> float:
    return run.read_config().training.learning_rate


def test_the_first_fold_of_a_killed_workers_trial_is_gone_on_with(folded: Stand) -> None:
    epochs = ["training.max_epochs=30", "training.patience=null"]
    settings = {"trials": 1, "stale": 1.0, "crossval": {"folds": 2}, "pruner": LATE}
    folded.write({trials.RATE: [0.01]}, *epochs, study=settings)
    process = folded.process("sweep", "s.yaml")
    until(lambda: folded.study_folder.frozen.exists(), "a study")
    until(lambda: [t for t in folded.study().trials if t.intermediate_values], "an epoch")
    process.send_signal(signal.SIGKILL)
    process.wait()
    (before,) = folded.study().trials
    known = first_fold_of(before).intermediate_values
    assert before.state == TrialState.RUNNING and known and not folds_of(before).intermediate_values
    sweep(["s.yaml"])
    (trial,) = folded.study().trials
    assert (trial.state, trial.user_attrs["adoptions"]) == (TrialState.COMPLETE, 1)
    first = first_fold_of(trial)
    assert (first.state, first.value) == (TrialState.COMPLETE, trial.intermediate_values[0])
    assert sorted(first.intermediate_values) == list(range(30))
    assert known.items() <= first.intermediate_values.items(), "what was reported stays"
    assert len(read_csv(trials.run_of(trial).metrics)) == 30


@pytest.mark.parametrize(("threshold", "startup"), list(product((0.02, 0.1, 0.25, 0.3, 1.0), (2, 3, 5))))
def test_folds_needed_are_those_from_which_optunas_pruner_can_prune(threshold: float, startup: int) -> None:
    study = optuna.create_study(pruner=WilcoxonPruner(p_threshold=threshold, n_startup_steps=startup))
    best, worse = study.ask(), study.ask()
    for fold in range(12):
        best.report(0.1 + fold / 50, fold)
    study.tell(best, 0.1)
    for fold in range(12):
        worse.report(0.5 + fold / 40, fold)
        if worse.should_prune():
            break
    assert folds_needed(threshold, startup) == fold + 2, "those reported, and one that is left"


def settings(pruner: dict[str, Any]) -> StudySettings:
    return StudySettings("s", pruner=pruner, crossval=InnerFolds())


def test_wilcoxons_own_parameters_count_between_folds_only() -> None:
    found = fold_pruner(settings({"name": "wilcoxon", "p_threshold": 0.3, "n_startup_steps": 4}))
    assert isinstance(found, FoldPruner) and isinstance(found.between, WilcoxonPruner)
    assert (found.between._p_threshold, found.between._n_startup_steps) == (0.3, 4)
    assert isinstance(found.within, optuna.pruners.NopPruner), "epochs of one fold are no repeats of each other"
    default = fold_pruner(settings({"name": "hyperband", "max_resource": 9}))
    assert isinstance(default, FoldPruner) and isinstance(default.between, WilcoxonPruner)
    assert (default.between._p_threshold, default.between._n_startup_steps) == (0.1, 2)
    assert isinstance(default.within, optuna.pruners.HyperbandPruner)
    assert isinstance(fold_pruner(settings({"name": "none"})), optuna.pruners.NopPruner)


@pytest.mark.parametrize(
    "pruner",
    [
        {"name": "median", "n_startup_trials": 2},
        {"name": "percentile", "percentile": 30.0, "n_startup_trials": 2},
        {"name": "successive_halving", "min_resource": 1, "reduction_factor": 2},
        {"name": "hyperband", "min_resource": 1, "max_resource": 8, "reduction_factor": 2},
        {"name": "threshold", "lower": 0.35, "n_warmup_steps": 5},
        {"name": "patient", "patience": 2, "wrapped_pruner": {"name": "median", "n_startup_trials": 1}},
    ],
    ids=lambda pruner: str(pruner["name"]),
)
def test_within_the_first_fold_a_pruner_decides_as_in_a_study_of_such_trials(pruner: dict[str, Any]) -> None:
    """Beside a plain study of the same name, whose trials are the first folds: the same epochs, the same decisions."""
    chance = random.Random(0)
    folded = optuna.create_study(study_name="s", direction="maximize", pruner=fold_pruner(settings(pruner)))
    plain = optuna.create_study(study_name="s", direction="maximize", pruner=samplers.pruner(settings(pruner)))
    decisions = []
    for _ in range(30):
        whole, first = folded.ask(), plain.ask()
        level = chance.random()
        for epoch in range(8):
            uar = level * (epoch + 1) / 8 + 0.1 * chance.random()
            whole.report(uar, FIRST_EPOCH + epoch)
            first.report(uar, epoch)
            decisions.append(first.should_prune())
            assert whole.should_prune() == decisions[-1]
            if decisions[-1]:
                folded.tell(whole, state=TrialState.PRUNED)
                plain.tell(first, state=TrialState.PRUNED)
                break
        else:
            for fold in range(3):
                whole.report(uar + fold / 100, fold)
            folded.tell(whole, uar)
            plain.tell(first, uar)
    assert len(set(decisions)) == 2, "both happened"


def test_too_few_folds_are_said_and_refused_where_that_test_was_asked_for(folded: Stand) -> None:
    def said(pruner: dict[str, Any], folds: int | None, key: str = "validation.uar") -> str:
        objectives = {key: "maximize"}
        own = {"crossval": {"folds": folds}, "pruner": pruner, "objectives": objectives}
        folded.write({trials.RATE: [0.01]}, study=own)
        return check_folds(read_sweep("s.yaml"))

    few = "4 folds are too few to prune between them: with p_threshold=0.1 Wilcoxon's test needs 5"
    assert said(LATE, 4) == f"{few}; trials are pruned within their first fold only, by median"
    assert [said(LATE, 5), said(LATE, None), said({"name": "none"}, 2)] == [""] * 3
    assert said({"name": "wilcoxon", "p_threshold": 0.3}, 3) == ""
    with pytest.raises(ConfigError, match=r"^study\.pruner: 4 folds are too few .* a higher p_threshold"):
        said({"name": "wilcoxon"}, 4)
    with pytest.raises(ConfigError, match=r"6 folds are too few .* needs 8;"):
        said({"name": "wilcoxon", "p_threshold": 0.01}, None)
    slow = "`latency` is not known of epochs"
    assert said(LATE, 5, "latency") == f"{slow}; trials are pruned between folds only, by wilcoxon"
    assert said({"name": "wilcoxon"}, 5, "latency") == ""
    with pytest.raises(ConfigError, match=rf"4 folds are too few .*, and {slow}; write pruner: "):
        said(LATE, 4, "latency")


def test_a_refused_study_is_not_made(folded: Stand) -> None:
    folded.write({trials.RATE: [0.01]}, study={"crossval": {"folds": 2}, "pruner": {"name": "wilcoxon"}})
    with pytest.raises(ConfigError, match="2 folds are too few"):
        sweep(["s.yaml"])
    assert not folded.study_folder.path.exists()
