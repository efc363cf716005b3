"""Which workers of a study live."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.trial import FrozenTrial, TrialState

from ser_lightning.sweeps import heartbeat
from ser_lightning.sweeps.claims import RUN, WORKER
from ser_lightning.sweeps.owners import Owners


def liveness(owners: Owners, trials: Sequence[FrozenTrial], stale: float) -> dict[int, str]:
    """`alive`, `dead` or `queued` for the worker of every trial of `trials` that runs, by the trial's number.

    Empty where the study's folder cannot be written: the present is asked of its file system by a file.

    Args:
        stale: seconds without a heartbeat after which a worker on another host is dead.
    """
    running = [trial for trial in trials if trial.state == TrialState.RUNNING]
    try:
        turns = owners.turns() if running else {}
        return {trial.number: _one(owners, trial, turns.get(trial.number), stale) for trial in running}
    except PermissionError:
        return {}


def _one(owners: Owners, trial: FrozenTrial, turn: int | None, stale: float) -> str:
    if turn is None:
        return "dead"
    run = trial.user_attrs.get(RUN)
    return heartbeat.liveness(owners.read(trial.number, turn), Path(run) if run else None, owners, stale)


@dataclass(frozen=True)
class Seen:
    """A worker as the trials know it."""

    worker: str
    """host:process"""
    ended: int
    """Trials that it brought to an end."""
    running: dict[int, str]
    """Trials that it left running, with what `liveness` says."""


def workers(trials: Sequence[FrozenTrial], lives: dict[int, str]) -> list[Seen]:
    """Every worker that had a trial last, those with running trials first."""
    ended = Counter(t.user_attrs[WORKER] for t in trials if t.state.is_finished() and WORKER in t.user_attrs)
    running: dict[str, dict[int, str]] = {}
    for trial in trials:
        if trial.state == TrialState.RUNNING and WORKER in trial.user_attrs:
            own = running.setdefault(trial.user_attrs[WORKER], {})
            own[trial.number] = lives.get(trial.number, "unknown")
    names = [*running, *sorted(name for name in ended if name not in running)]
    return [Seen(name, ended[name], running.get(name, {})) for name in names]
