"""Following a trial from outside: its runs' metrics become reports to Optuna, whose pruner is then asked.

A trial knows nothing of Optuna, so one that trains in several ranks is pruned like any other.
"""

from typing import Protocol

from optuna.study import Study
from optuna.trial import Trial, TrialState

from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun
from ser_lightning.training.history import read_history


class Following(Protocol):
    """What is followed of one trial."""

    def tick(self) -> str:
        """Report what is new; why the trial should be pruned, or nothing."""

    def close(self, state: TrialState) -> None:
        """The trial has ended so."""


class Unreported:
    """A trial of several objectives, which Optuna does not prune."""

    def tick(self) -> str:
        return ""

    def close(self, state: TrialState) -> None:
        """Nothing was begun."""


class Epochs:
    """Reports an objective of every epoch of one run."""

    def __init__(self, trial: Trial, run: RunFolder, key: str, name: str, known: set[int]) -> None:
        self.trial, self.run, self.name = trial, run, name
        self.column = key.replace(".", "/", 1)
        self.known = known
        """Steps that were reported before, by whoever had the trial then."""

    def tick(self) -> str:
        for row in read_history(self.run.metrics):
            epoch, found = int(row["epoch"] or 0), row.get(self.column)
            if epoch not in self.known and found is not None:
                self.known.add(epoch)
                self.trial.report(found, epoch)
                if self.trial.should_prune():
                    return f"pruned by {self.name} after epoch {epoch}"
        return ""

    def close(self, state: TrialState) -> None:
        """Nothing of its own."""


class Folds:
    """Reports each fold's score; within the first fold its epochs are reported to a study of first folds.

    Optuna compares trials step by step: epochs of one fold and scores of folds are different steps, and each kind
    has a pruner of its own.
    """

    def __init__(self, begun: Begun, key: str, known: set[int], first: Epochs | None, firsts: Study | None) -> None:
        self.begun, self.key, self.known, self.first, self.firsts = begun, key, known, first, firsts

    def tick(self) -> str:
        if self.first and not self.begun.runs[0].finished and (why := self.first.tick()):
            return f"{why} of the first fold"
        for fold, run in enumerate(self.begun.runs):
            if run.finished and fold not in self.known:
                self.known.add(fold)
                self.begun.claimed.trial.report(value([run], self.key), fold)
                if self.begun.claimed.trial.should_prune():
                    return f"pruned by wilcoxon after fold {fold}"
        return ""

    def close(self, state: TrialState) -> None:
        if self.first is None or self.firsts is None:
            return
        finished = self.begun.runs[0].finished
        values = value([self.begun.runs[0]], self.key) if finished else None
        ended = (
            TrialState.COMPLETE if finished else TrialState.PRUNED if state == TrialState.PRUNED else TrialState.FAIL
        )
        self.firsts.tell(self.first.trial, values, ended)


def follow(begun: Begun, study: Study, key: str, name: str, firsts: Study | None) -> Following:
    """Follow a trial by the objective `key`; nothing is reported of several objectives, which know no pruning.

    Args:
        name: the pruner's, for the reason of a pruning.
        firsts: the study of first folds, where trials are cross-validations.
    """
    if len(study.directions) > 1:
        return Unreported()
    trial = begun.claimed.trial
    known = _reported(study, begun.claimed.number)
    if firsts is None:
        return Epochs(trial, begun.runs[0], key, name, known)
    return Folds(begun, key, known, _first(trial, begun.runs[0], firsts, key, name), firsts)


def _reported(study: Study, number: int) -> set[int]:
    """Steps that whoever had the trial before has reported."""
    return set(study.get_trials(deepcopy=False)[number].intermediate_values)


def _first(trial: Trial, run: RunFolder, firsts: Study, key: str, name: str) -> Epochs | None:
    """None where the first fold is finished: another worker, or another trial with these values, had it."""
    if run.finished:
        return None
    return Epochs(firsts.ask(), run, key, name, set())
