"""Following a trial from outside: its runs' metrics become reports to Optuna, whose pruner is then asked.

A trial knows nothing of Optuna, so one that trains in several ranks is pruned like any other.
"""

from pathlib import Path
from typing import Protocol

from optuna.study import Study
from optuna.trial import Trial

from ser_lightning.errors import UserError
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.first_folds import first_fold, settle
from ser_lightning.sweeps.outage import OutageError
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun, Failed, Pruned
from ser_lightning.training.history import read_history


class Following(Protocol):
    """What is followed of one trial."""

    def tick(self) -> Pruned | Failed | None:
        """Report what is new; how the trial should end, where it should."""

    def close(self) -> None:
        """The trial has ended, or is let go."""


class Unreported:
    """A trial of several objectives, which Optuna does not prune."""

    def tick(self) -> None:
        return None

    def close(self) -> None:
        """Nothing was begun."""


class Epochs:
    """Reports an objective of every epoch of one run."""

    def __init__(self, trial: Trial, run: RunFolder, key: str, name: str, known: set[int]) -> None:
        self.trial, self.run, self.name, self.seen = trial, run, name, (0, 0, 0)
        self.column = key.replace(".", "/", 1)
        self.known = known
        """Steps that were reported before, by whoever had the trial then."""

    def tick(self) -> Pruned | None:
        if (now := _written(self.run.metrics)) == self.seen:
            return None
        for row in read_history(self.run.metrics):
            epoch, found = int(row["epoch"] or 0), row.get(self.column)
            if epoch not in self.known and found is not None:
                self.known.add(epoch)
                self.trial.report(found, epoch)
                if self.trial.should_prune():
                    return Pruned(f"pruned by {self.name} after epoch {epoch}")
        self.seen = now
        return None

    def close(self) -> None:
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

    def tick(self) -> Pruned | Failed | None:
        try:
            return self._within_first() or self._between()
        except OutageError:
            raise
        except UserError as error:  # a result without the number: this trial's end, not the worker's
            return Failed(str(error))

    def close(self) -> None:
        """A trial that was only let go goes on elsewhere, and its first fold with it."""
        settle(self.firsts, self.whole)

    def _within_first(self) -> Pruned | None:
        if self.first is None:
            return None
        through = self.begun.runs[0].finished
        pruned = self.first.tick()
        if not through:
            return Pruned(f"{pruned.why} of the first fold") if pruned else None
        while pruned:  # too late to save anything, but the others are compared with these epochs
            pruned = self.first.tick()
        self.first = None
        return None

    def _between(self) -> Pruned | None:
        trial, runs = self.begun.claimed.trial, self.begun.runs
        for fold, run in enumerate(runs):
            if not run.finished or fold in self.known:
                continue
            trial.report(value([run], self.key), fold)
            self.known.add(fold)
            if fold == 0:
                settle(self.firsts, self.whole)
            if not all(one.finished for one in runs) and trial.should_prune():
                return Pruned(f"pruned by wilcoxon after fold {fold}")
        return None


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


def _written(metrics: Path) -> tuple[int, int, int]:
    """What tells one state of a file from another; each is a file of its own, put in the place of the one before."""
    try:
        found = metrics.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size


def _reported(study: Study, number: int) -> set[int]:
    """Steps that whoever had the trial before has reported."""
    return set(study.get_trials(deepcopy=False)[number].intermediate_values)


def _first(number: int, run: RunFolder, firsts: Study, key: str, name: str) -> Epochs | None:
    """None where the first fold is finished: another worker, or another trial with these values, had it."""
    if run.finished:
        return None
    trial = first_fold(firsts, number)
    return Epochs(trial, run, key, name, _reported(firsts, trial.number))
