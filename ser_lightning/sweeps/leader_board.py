"""The best trials of a study as a table's rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from optuna.study import Study
from optuna.trial import FrozenTrial

from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.claims import NOTE, RUN
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import leading, seconds, settings_of
from ser_lightning.sweeps.trial import PARAMETERS

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
