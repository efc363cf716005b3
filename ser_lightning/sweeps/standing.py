"""How far a study is: its trials by state, why some failed, what leads, and how long the rest will take."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import islice
from pathlib import Path

from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from ser_lightning.errors import ConfigError
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import NOTE, REASON, RUN
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.space import said
from ser_lightning.sweeps.trial import PARAMETERS

RECENT = 20
"""Trials that ended last, whose mean duration the estimate takes: samplers come to prefer other sizes with time."""


@dataclass(frozen=True)
class Standing:
    """The trials of a study as they were at one moment, in the order of their numbers."""

    trials: Sequence[FrozenTrial]

    @cached_property
    def by_state(self) -> dict[TrialState, list[FrozenTrial]]:
        """Every state with its trials, maybe none."""
        found: dict[TrialState, list[FrozenTrial]] = {state: [] for state in TrialState}
        for trial in self.trials:
            found[trial.state].append(trial)
        return found

    @property
    def ended(self) -> int:
        return sum(len(trials) for state, trials in self.by_state.items() if state.is_finished())

    @property
    def failures(self) -> dict[str, list[FrozenTrial]]:
        """Failed trials by reason, the most frequent reason first."""
        found: dict[str, list[FrozenTrial]] = {}
        for trial in self.by_state[TrialState.FAIL]:
            found.setdefault(trial.user_attrs.get(REASON, "unknown reason"), []).append(trial)
        return dict(sorted(found.items(), key=lambda item: -len(item[1])))

    def counts(self) -> str:
        """`12 of 20 trials ended: 9 complete, 2 pruned, 1 failed; 3 running, 5 waiting`."""
        count = {state: len(trials) for state, trials in self.by_state.items()}
        ends = f"{count[TrialState.COMPLETE]} complete, {count[TrialState.PRUNED]} pruned, "
        ends += f"{count[TrialState.FAIL]} failed"
        rest = f"{count[TrialState.RUNNING]} running, {count[TrialState.WAITING]} waiting"
        return f"{self.ended} of {len(self.trials)} trials ended: {ends}; {rest}"

    def seconds_left(self, slots: int, now: datetime) -> float | None:
        """Until all trials have ended, if as many trials are run at a time as `slots`; None where nothing tells.

        What runs longer than the trials that ended last is taken to be about to end.
        """
        durations = list(islice((d for trial in reversed(self.trials) if (d := seconds(trial)) is not None), RECENT))
        if not durations or not slots:
            return None
        each = sum(durations) / len(durations)
        begun = [trial.datetime_start for trial in self.by_state[TrialState.RUNNING] if trial.datetime_start]
        rest = sum(max(each - (now - start).total_seconds(), 0) for start in begun)
        return (rest + each * len(self.by_state[TrialState.WAITING])) / slots


def seconds(trial: FrozenTrial) -> float | None:
    """From a trial's first beginning to its end; None while it has none."""
    return trial.duration.total_seconds() if trial.duration and trial.state.is_finished() else None


def feasible(trial: FrozenTrial) -> bool:
    """Whether a trial keeps all constraints; those that break one never lead."""
    return all(excess <= 0 for excess in trial.constraints.values())


def leading(study: Study, trials: Sequence[FrozenTrial], most: int | None = None) -> list[FrozenTrial]:
    """The best feasible trials, best first and earlier before later; of several objectives the Pareto front.

    Args:
        trials: the study's, of which a study with one objective is judged without reading its storage.
        most: as many at most; None for all.
    """
    sign = -1 if study.directions[0] == StudyDirection.MAXIMIZE else 1
    several = len(study.directions) > 1
    found = study.best_trials if several else [t for t in trials if t.state == TrialState.COMPLETE and feasible(t)]
    return heapq.nsmallest(
        len(found) if most is None else most, found, key=lambda trial: (sign * trial.values[0], trial.number)
    )


def settings_of(frozen: Frozen, trial: FrozenTrial) -> str:
    """What a trial set, for people: four digits; nothing where it has not drawn its values yet."""
    if not trial.params:
        return ""
    try:
        found = frozen.searched.values(trial.params)
    except (ConfigError, KeyError, ValueError):  # drawn before the study's space was changed
        found = trial.params
    return said({key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in found.items()})


def figure(value: float) -> str:
    """A value for people: whole numbers, which are counts, in full."""
    return f"{value:,.0f}" if value == round(value) and abs(value) > 1 else f"{value:.4g}"


def values_of(frozen: Frozen, trial: FrozenTrial) -> str:
    """A complete trial's values, each with its objective: `validation.uar 0.731`."""
    return ", ".join(f"{key} {figure(value)}" for key, value in zip(frozen.study.objectives, trial.values, strict=True))


TOP = 10


@dataclass(frozen=True)
class Leader:
    """One row. Of a cross-validated trial `run` and `parameters` are its first fold's."""

    number: int
    values: Sequence[float]
    """One an objective."""
    settings: str
    """What the trial set."""
    parameters: int | None
    """Numbers that its model learns; None where its run is not there any more."""
    minutes: float
    run: str
    """Run id."""
    note: str
    """What its values have to be read with; mostly nothing."""


def leader_board(study: Study, frozen: Frozen, trials: Sequence[FrozenTrial], most: int | None = TOP) -> list[Leader]:
    """The best feasible trials; of several objectives the Pareto front."""
    return [_leader(frozen, trial) for trial in leading(study, trials, most)]


def _leader(frozen: Frozen, trial: FrozenTrial) -> Leader:
    run = RunFolder(Path(trial.user_attrs.get(RUN, "")))
    return Leader(
        trial.number,
        trial.values,
        settings_of(frozen, trial),
        _parameters(run),
        (seconds(trial) or 0) / 60,
        run.id,
        trial.user_attrs.get(NOTE, ""),
    )


def _parameters(run: RunFolder) -> int | None:
    found = run.read_result().get(PARAMETERS) if run.finished else None
    return found if isinstance(found, int) else None
