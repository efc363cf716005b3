"""The study beside one of cross-validations, whose trials are first folds: what a pruner compares within them."""

from contextlib import suppress
from dataclasses import replace

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from ser_lightning.sweeps.fold_pruning import NAME as WILCOXON
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.samplers import pruner
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.storage import open_storage
from ser_lightning.sweeps.study import StudyFolder

OF = "trial"
"""Attribute of a first fold: the number of the trial that it is of."""


def open_first_folds(folder: StudyFolder, frozen: Frozen) -> Study:
    """Made where there is none yet."""
    return optuna.create_study(
        storage=open_storage(frozen.study.storage, folder.path),
        study_name=f"{frozen.study.name}/first fold",
        directions=list(frozen.study.objectives.values()),
        pruner=_within(frozen.study),
        load_if_exists=True,
    )


def _within(settings: StudySettings) -> BasePruner:
    """Wilcoxon's test pairs folds; epochs of one fold are no repeats of each other."""
    paired = settings.pruner["name"] == WILCOXON
    return pruner(replace(settings, pruner={"name": "none"}) if paired else settings)


def first_fold(firsts: Study, number: int) -> Trial:
    """The first fold of trial `number`: the one that another worker began, or a new one."""
    found = _running(firsts, number)
    if not found:
        # Not `ask`: whoever dies between asking and marking would leave one that nobody knows whose it is.
        firsts.add_trial(create_trial(state=TrialState.RUNNING, user_attrs={OF: number}))
        found = _running(firsts, number)
    return Trial(firsts, found[0]._trial_id)


def _running(firsts: Study, number: int) -> list[FrozenTrial]:
    running = firsts.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return [first for first in running if first.user_attrs[OF] == number]


def settle(firsts: Study, whole: Study) -> None:
    """End every first fold that is through, or whose trial has ended before it was, whoever followed it."""
    trials = whole.get_trials(deepcopy=False)
    for first in firsts.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        trial = trials[first.user_attrs[OF]]
        if 0 in trial.intermediate_values:  # the score of fold 0
            _end(firsts, first, TrialState.COMPLETE, trial.intermediate_values[0])
        elif trial.state.is_finished():
            _end(firsts, first, TrialState.PRUNED if trial.state == TrialState.PRUNED else TrialState.FAIL)


def _end(firsts: Study, first: FrozenTrial, state: TrialState, score: float | None = None) -> None:
    with suppress(UpdateFinishedTrialError):  # another worker may be as quick
        firsts.tell(first.number, score, state, skip_if_finished=True)
