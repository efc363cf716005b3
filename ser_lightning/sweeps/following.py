"""Following a trial from outside: its runs' metrics become reports to Optuna, whose pruner is then asked.

A trial knows nothing of Optuna, so one that trains in several ranks is pruned like any other.
"""

from typing import Protocol

from optuna.study import Study
from optuna.trial import Trial, TrialState

from ser_lightning.errors import UserError
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.first_folds import first_fold, settle
from ser_lightning.sweeps.outage import OutageError
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun
from ser_lightning.training.history import read_history


class Following(Protocol):
    """What is followed of one trial."""

    def tick(self) -> str:
        """Report what is new; why the trial should be stopped, or nothing."""

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

    def __init__(
        self, begun: Begun, whole: Study, key: str, known: set[int], firsts: Study, first: Epochs | None
    ) -> None:
        self.begun, self.whole, self.key, self.known = begun, whole, key, known
        self.firsts, self.first = firsts, first

    def tick(self) -> str:
        try:
            return self._within_first() or self._between()
        except OutageError:
            raise
        except UserError as error:  # a result without the number: this trial's end, not the worker's
            return str(error)

    def close(self, state: TrialState) -> None:
        """A trial that was only let go goes on elsewhere, and its first fold with it."""
        settle(self.firsts, self.whole)

    def _within_first(self) -> str:
        if self.first is None:
            return ""
        through = self.begun.runs[0].finished
        why = self.first.tick()
        if not through:
            return f"{why} of the first fold" if why else ""
        while why:  # too late to save anything, but the others are compared with these epochs
            why = self.first.tick()
        self.first = None
        return ""

    def _between(self) -> str:
        trial, runs = self.begun.claimed.trial, self.begun.runs
        for fold, run in enumerate(runs):
            if not run.finished or fold in self.known:
                continue
            trial.report(value([run], self.key), fold)
            self.known.add(fold)
            if fold == 0:
                settle(self.firsts, self.whole)
            if not all(one.finished for one in runs) and trial.should_prune():
                return f"pruned by wilcoxon after fold {fold}"
        return ""


def follow(begun: Begun, study: Study, key: str, name: str, firsts: Study | None) -> Following:
    """Follow a trial by the objective `key`; nothing is reported of several objectives, which know no pruning.

    Args:
        name: the pruner's, for the reason of a pruning.
        firsts: the study of first folds, where trials are cross-validations.
    """
    if len(study.directions) > 1:
        return Unreported()
    trial, run = begun.claimed.trial, begun.runs[0]
    known = _reported(study, trial.number)
    if firsts is None:
        return Epochs(trial, run, key, name, known)
    return Folds(begun, study, key, known, firsts, _first(trial.number, run, firsts, key, name))


def _reported(study: Study, number: int) -> set[int]:
    """Steps that whoever had the trial before has reported."""
    return set(study.get_trials(deepcopy=False)[number].intermediate_values)


def _first(number: int, run: RunFolder, firsts: Study, key: str, name: str) -> Epochs | None:
    """None where the first fold is finished: another worker, or another trial with these values, had it."""
    if run.finished:
        return None
    trial = first_fold(firsts, number)
    return Epochs(trial, run, key, name, _reported(firsts, trial.number))
