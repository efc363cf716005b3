"""Pruning cross-validated trials: within the first fold by its epochs, between folds by their scores."""

import copy
import math
from collections.abc import Callable, Container
from dataclasses import replace
from typing import Any

from optuna.pruners import BasePruner
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ser_lightning.config.compose import bind
from ser_lightning.errors import ConfigError
from ser_lightning.runs.prepare import prepare
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.measure import BY_EPOCH
from ser_lightning.sweeps.samplers import pruner
from ser_lightning.sweeps.settings import StudySettings

FIRST_EPOCH = 1000
"""The step at which a cross-validated trial reports epoch 0 of its first fold; a fold's score is at its number."""
NAME = "wilcoxon"
DEFAULTS = {"name": NAME, "p_threshold": 0.1, "n_startup_steps": 2}


class FoldPruner(BasePruner):
    """Asks `within` about the first fold's epochs until the fold is scored, and `between` about folds from then on.

    Optuna compares trials step by step, and epochs of one fold and scores of folds are different steps: each pruner is
    shown those that it is about, as Optuna's Hyperband shows its pruners the trials of a bracket.
    """

    def __init__(self, within: BasePruner, between: BasePruner) -> None:
        self.within, self.between = within, between

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        chosen, seen = (self.between, folds_of) if 0 in trial.intermediate_values else (self.within, first_fold_of)
        shown: Any = _Shown(study, seen)
        return chosen.prune(shown, seen(trial))


class _Shown:
    """A study each of whose trials is shown as `seen` sees it."""

    def __init__(self, study: Study, seen: Callable[[FrozenTrial], FrozenTrial]) -> None:
        self._study, self._seen = study, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.get_trials()

    @property
    def best_trial(self) -> FrozenTrial:
        return self._seen(self._study.best_trial)

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        shown = map(self._seen, self._study.get_trials(deepcopy=deepcopy))
        return [trial for trial in shown if states is None or trial.state in states]


def first_fold_of(trial: FrozenTrial) -> FrozenTrial:
    """A cross-validated trial's first fold as a trial of its own: complete, with its value, once it is scored."""
    own, score = copy.copy(trial), trial.intermediate_values.get(0)
    steps = trial.intermediate_values.items()
    own.intermediate_values = {step - FIRST_EPOCH: value for step, value in steps if step >= FIRST_EPOCH}
    if score is not None:
        own.state, own.values = TrialState.COMPLETE, [score]
    return own


def folds_of(trial: FrozenTrial) -> FrozenTrial:
    """A cross-validated trial without its first fold's epochs."""
    own, steps = copy.copy(trial), trial.intermediate_values.items()
    own.intermediate_values = {step: value for step, value in steps if step < FIRST_EPOCH}
    return own


def fold_pruner(settings: StudySettings) -> BasePruner:
    """Wilcoxon's test between folds, `study.pruner` within the first; nothing where that says `none`.

    Wilcoxon's test pairs folds: where `study.pruner` names it, with its parameters, nothing is pruned within one, whose
    epochs are no repeats of each other.
    """
    if settings.pruner["name"] == "none":
        return pruner(settings)
    paired = settings.pruner["name"] == NAME
    within = pruner(replace(settings, pruner={"name": "none"}) if paired else settings)
    return FoldPruner(within, pruner(replace(settings, pruner=_wilcoxon(settings))))


def folds_needed(p_threshold: float, n_startup_steps: int) -> float:
    """Folds from which a trial can be pruned between two of them; infinite with a threshold of 0.

    The test is one-sided: n pairs have one of 2^n arrangements of signs in which all are worse, so its exact p-value
    is never below 1/2^n (F. Wilcoxon, "Individual comparisons by ranking methods", 1945). One fold more has to be
    left, as there is nothing to save after the last.
    """
    pairs = math.floor(-math.log2(p_threshold)) + 1 if p_threshold else math.inf
    return max(2, n_startup_steps, pairs) + 1


def check_folds(frozen: Frozen) -> str:
    """What to say where cross-validated trials are pruned between folds only, or within the first only; else nothing.

    Raises:
        ConfigError: there are too few folds, and `study.pruner` asks for that test, or the objective has no epochs.
        UserError: the corpus or the split can't be used.
    """
    settings = frozen.study
    if settings.crossval is None or settings.pruner["name"] == "none":
        return ""
    test = _wilcoxon(settings)
    needed, folds = folds_needed(test["p_threshold"], test["n_startup_steps"]), _folds(frozen)
    (key,) = settings.objectives  # several have no pruner
    followed = key in BY_EPOCH or settings.pruner["name"] == NAME
    if folds >= needed:
        return "" if followed else f"`{key}` is not known of epochs; trials are pruned between folds only, by wilcoxon"
    why = f"{folds} folds are too few to prune between them: with p_threshold={test['p_threshold']:g}"
    why = f"{why} Wilcoxon's test needs {needed:g}"
    if settings.pruner["name"] == NAME:
        raise ConfigError(f"study.pruner: {why}; take more folds, a higher p_threshold, or pruner: {{name: median}}")
    if not followed:
        raise ConfigError(f"study.pruner: {why}, and `{key}` is not known of epochs; write pruner: {{name: none}}")
    return f"{why}; trials are pruned within their first fold only, by {settings.pruner['name']}"


def _wilcoxon(settings: StudySettings) -> dict[str, Any]:
    return DEFAULTS | (settings.pruner if settings.pruner["name"] == NAME else {})


def _folds(frozen: Frozen) -> int:
    base = prepare(bind(frozen.base, "the study's base"))
    count = base.splitter.folds(base.corpus.utterances)
    most = frozen.study.crossval.folds if frozen.study.crossval else None
    return count if most is None else min(count, most)
