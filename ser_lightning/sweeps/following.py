"""Following a trial from outside: its runs' metrics become reports to Optuna, whose pruner is then asked.

A trial knows nothing of Optuna, so one that trains in several ranks is pruned like any other.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from optuna.study import Study
from optuna.trial import Trial

from ser_lightning.errors import UserError
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.outage import OutageError
from ser_lightning.sweeps.pruning import FIRST_EPOCH
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.trial import Begun, Failed, Pruned
from ser_lightning.training.history import read_history


class Following(Protocol):
    """What is followed of one trial."""

    def tick(self) -> Pruned | Failed | None:
        """Report what is new; how the trial should end, where it should."""


class Unreported:
    """A trial of several objectives, which Optuna does not prune."""

    def tick(self) -> None:
        return None


class Epochs:
    """Reports an objective of every epoch of one run.

    Args:
        known: steps that were reported before, by whoever had the trial then.
        first: the step of epoch 0.
    """

    def __init__(self, trial: Trial, run: RunFolder, key: str, name: str, known: set[int], first: int = 0) -> None:
        self.trial, self.run, self.name, self.known, self.first = trial, run, name, known, first
        self.column, self.seen = key.replace(".", "/", 1), (0, 0, 0)

    def tick(self) -> Pruned | None:
        if (now := _written(self.run.metrics)) == self.seen:
            return None
        for epoch in self._new():
            if self.trial.should_prune():
                return Pruned(f"pruned by {self.name} after epoch {epoch}")
        self.seen = now
        return None

    def report(self) -> None:
        """All that is new, of a run that is over: others are compared with it."""
        for _ in self._new():
            pass

    def _new(self) -> Iterator[int]:
        """Epochs that were not reported before, each as soon as it is."""
        for row in read_history(self.run.metrics):
            epoch, found = int(row["epoch"] or 0), row.get(self.column)
            if self.first + epoch not in self.known and found is not None:
                self.known.add(self.first + epoch)
                self.trial.report(found, self.first + epoch)
                yield epoch


class Folds:
    """Reports each fold's score, and the epochs of the first fold while it runs; see `FoldPruner`."""

    def __init__(self, trial: Trial, runs: Sequence[RunFolder], key: str, name: str, known: set[int]) -> None:
        self.trial, self.runs, self.key, self.known = trial, runs, key, known
        # One that another worker, or another trial with these values, has finished has nothing left to prune.
        self.first = None if runs[0].finished else Epochs(trial, runs[0], key, name, known, FIRST_EPOCH)

    def tick(self) -> Pruned | Failed | None:
        try:
            return self._within_first() or self._between()
        except OutageError:
            raise
        except UserError as error:  # a result without the number: this trial's end, not the worker's
            return Failed(str(error))

    def _within_first(self) -> Pruned | None:
        if self.first is None:
            return None
        if not self.runs[0].finished:
            pruned = self.first.tick()
            return Pruned(f"{pruned.why} of the first fold") if pruned else None
        self.first.report()
        self.first = None
        return None

    def _between(self) -> Pruned | None:
        for fold, run in enumerate(self.runs):
            if not run.finished or fold in self.known:
                continue
            self.trial.report(value([run], self.key), fold)
            self.known.add(fold)
            if not all(one.finished for one in self.runs) and self.trial.should_prune():
                return Pruned(f"pruned by wilcoxon after fold {fold}")
        return None


def follow(begun: Begun, study: Study, key: str, name: str, folds: bool) -> Following:
    """Follow a trial by the objective `key`; nothing is reported of several objectives, which know no pruning.

    Args:
        name: the pruner's, for the reason of a pruning.
        folds: whether trials are cross-validations.
    """
    if len(study.directions) > 1:
        return Unreported()
    trial = begun.claimed.trial
    known = set(study.get_trials(deepcopy=False)[trial.number].intermediate_values)
    if folds:
        return Folds(trial, begun.runs, key, name, known)
    return Epochs(trial, begun.runs[0], key, name, known)


def _written(metrics: Path) -> tuple[int, int, int]:
    """What tells one state of a file from another; each is a file of its own, put in the place of the one before."""
    try:
        found = metrics.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
