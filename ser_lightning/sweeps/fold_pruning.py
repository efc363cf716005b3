"""Pruning between the folds of a cross-validated trial: Wilcoxon's signed-rank test against the best trial's folds."""

import math
from dataclasses import replace
from typing import Any

from optuna.pruners import BasePruner

from ser_lightning.config.compose import bind
from ser_lightning.errors import ConfigError
from ser_lightning.runs.prepare import prepare
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.measure import BY_EPOCH
from ser_lightning.sweeps.samplers import pruner
from ser_lightning.sweeps.settings import StudySettings

NAME = "wilcoxon"
DEFAULTS = {"name": NAME, "p_threshold": 0.1, "n_startup_steps": 2}


def between_folds(settings: StudySettings) -> BasePruner:
    """Wilcoxon's test, with the parameters of `study.pruner` where it names that; nothing where that says `none`."""
    return pruner(settings if settings.pruner["name"] == "none" else replace(settings, pruner=_wilcoxon(settings)))


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
