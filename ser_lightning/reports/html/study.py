"""A study as the report shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import optuna

from ser_lightning.config.tree import leaves
from ser_lightning.reports.html.study_plots import Plots, Plotter
from ser_lightning.sweeps.claims import LOG_END
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.importances import Importances, importances
from ser_lightning.sweeps.parameters import Derived, Parameter, Range, label
from ser_lightning.sweeps.space import said
from ser_lightning.sweeps.standing import Leader, Standing, leader_board
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.whereabouts import where

SHOWN = 12
"""Trials whose numbers are listed of one reason to fail."""


@dataclass(frozen=True)
class Failure:
    """Trials that failed for one reason."""

    reason: str
    numbers: Sequence[int]
    log: str
    """The end of the last one's log, maybe empty."""

    @property
    def said(self) -> str:
        """The first numbers."""
        more = len(self.numbers) - SHOWN
        return ", ".join(map(str, self.numbers[:SHOWN])) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class StudyView:
    """Everything that is shown of one study."""

    key: str
    """Begins the ids of its elements."""
    name: str
    counts: str
    objectives: Mapping[str, str]
    leaders: Sequence[Leader]
    importances: Importances
    plots: Plots
    failures: Sequence[Failure]
    settings: Mapping[str, str]
    """How it is run, by dotted key."""
    space: Sequence[tuple[str, str, str]]
    """Key, what it may be, and under which condition."""
    constraints: Mapping[str, str]
    start: Sequence[str]
    words: Sequence[str]
    """What the base was composed from."""

    @property
    def several(self) -> bool:
        """Whether there is a Pareto front in the place of one winner."""
        return len(self.objectives) > 1


def open_view(folder: StudyFolder, key: str) -> StudyView:
    """Read a study; `key` begins the ids of its elements.

    Raises:
        UserError: its storage has lost it, or does not answer.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # no line of its own for each study that is made to draw one
    study, frozen = open_study(folder), Frozen.read(folder.frozen)
    standing = Standing(study.get_trials(deepcopy=False))
    leaders = leader_board(study, frozen, standing.trials)
    found = importances(study)
    objectives = frozen.study.objectives
    numbers = [leader.number for leader in leaders]
    return StudyView(
        key,
        folder.name,
        standing.counts(),
        objectives,
        leaders,
        found,
        Plotter(study, list(objectives), numbers, bool(found.shares), key).plots(),
        _failures(standing),
        _settings(frozen, folder),
        [(p.key, _may_be(p), _when(p)) for p in frozen.searched.parameters],
        {name: f"at most {most:,}" for name, most in frozen.constraints.items()},
        [said(point) for point in frozen.start],
        frozen.words,
    )


def _failures(standing: Standing) -> list[Failure]:
    return [
        Failure(reason, [trial.number for trial in trials], trials[-1].user_attrs.get(LOG_END, ""))
        for reason, trials in standing.failures.items()
    ]


def _settings(frozen: Frozen, folder: StudyFolder) -> dict[str, str]:
    found = dict(leaves(asdict(frozen.study) | {"storage": where(frozen, folder)}))
    return {key: "null" if value is None else str(value) for key, value in found.items()}


def _may_be(p: Parameter) -> str:
    if isinstance(p, Derived):
        return p.of if p.times == 1 else f"{p.times:g} times {p.of}"
    log = isinstance(p, Range) and p.distribution.log
    return f"{p}, logarithmic" if log else str(p)


def _when(p: Parameter) -> str:
    return " and ".join(f"{key} is {' or '.join(str(label(v)) for v in values)}" for key, values in p.when.items())
