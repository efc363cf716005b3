"""Which trial of a study is finalized, and how many were tried beside it."""

from collections import Counter
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.claims import RUN
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import feasible, leading, values_of

BEST = "best"


def winner(study: Study, frozen: Frozen, select: str = BEST) -> FrozenTrial:
    """The best trial that meets every constraint, or the one whose number is asked for.

    Raises:
        ConfigError: `select` is no number, or there are several objectives and no trial was named.
        UserError: no such trial, or it has no result, or violates a constraint.
    """
    if select != BEST:
        return _named(study, frozen.study.name, select)
    front = leading(study, study.get_trials(deepcopy=False))
    if not front:
        raise UserError(f"study {frozen.study.name}: no trial is complete within the constraints; nothing to finalize")
    if len(frozen.study.objectives) > 1:
        lines = "".join(f"\n  select={trial.number}: {values_of(frozen, trial)}" for trial in front)
        raise ConfigError(f"study {frozen.study.name} has several objectives, and so no best trial; name one:{lines}")
    return front[0]


def check_ended(study: Study, name: str) -> None:
    """Raises UserError: trials wait or run."""
    states = Counter(trial.state for trial in study.get_trials(deepcopy=False))
    waiting, running = states[TrialState.WAITING], states[TrialState.RUNNING]
    if waiting or running:
        raise UserError(
            f"study {name}: of {states.total()} trials {waiting} wait and {running} run; let `ser worker {name}` "
            "finish them, or finalize what there is with early=true"
        )


def tried(study: Study) -> dict[str, Any]:
    """Trials in all, those that were begun, and how many different configurations these were."""
    trials = study.get_trials(deepcopy=False)
    runs = [Path(trial.user_attrs[RUN]).name for trial in trials if RUN in trial.user_attrs]
    return {"trials": len(trials), "begun": len(runs), "configurations": len(set(runs))}


def _named(study: Study, name: str, select: str) -> FrozenTrial:
    if not select.isdecimal():
        raise ConfigError(f"select={select}: `{BEST}`, or the number of a trial")
    trials = {trial.number: trial for trial in study.get_trials(deepcopy=False)}
    trial = trials.get(int(select))
    if trial is None:
        raise UserError(f"select={select}: study {name} has the trials 0 to {max(trials)}")
    if trial.state != TrialState.COMPLETE:
        raise UserError(f"select={select}: that trial is {trial.state.name}, not COMPLETE: it has no result to go by")
    if not feasible(trial):
        broken = ", ".join(f"{key} by {excess:g}" for key, excess in trial.constraints.items() if excess > 0)
        raise UserError(f"select={select}: that trial exceeds the study's constraints ({broken}); select another")
    return trial
