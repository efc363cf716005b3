"""From a claimed trial to its outcome: the runs it consists of, the child that trains them, and how that ended."""

import json
import math
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import wait
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.scan import scan_corpus
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import UserError
from ser_lightning.processes.endings import FAILED, FINISHED, STOPPED, kernel_kills, reason
from ser_lightning.processes.launcher import Child, start, tail
from ser_lightning.processes.slots import PATIENCE
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import Prepared, make_learner
from ser_lightning.sweeps.child import train_all
from ser_lightning.sweeps.claims import Claimed
from ser_lightning.sweeps.frozen import Frozen

PARAMETERS = "parameters"
"""The constraint that is known before a training begins."""
LOOK = 1.0
"""Seconds between two looks at what a trial's runs have written."""
WORDS = 200
"""Most characters of a log that a reason repeats."""


@dataclass(frozen=True)
class Completed:
    """All of its runs are finished."""


@dataclass(frozen=True)
class Pruned:
    """It was stopped, or not begun, because it would not have been worth its time."""

    why: str


@dataclass(frozen=True)
class Failed:
    """It ended otherwise; `log` has the last lines of what its process said."""

    why: str
    log: Sequence[str] = ()


@dataclass(frozen=True)
class Stopped:
    """Its worker was asked to stop: it goes on where it was, with whoever takes it next."""


@dataclass(frozen=True)
class Lost:
    """Another worker took it over, and writes what becomes of it."""


Outcome = Completed | Pruned | Failed | Stopped | Lost


class OverBudgetError(UserError):
    """A constraint is violated before anything is trained."""


@dataclass(frozen=True)
class Begun:
    """A claimed trial with its values and its runs: one, or one a fold."""

    claimed: Claimed
    values: dict[str, Any]
    runs: Sequence[RunFolder]
    trees: Sequence[dict[str, Any]]
    """The configuration of each run."""

    @property
    def name(self) -> str:
        return f"trial {self.claimed.number}"


class Preparation:
    """Makes trials of claims; corpora are scanned once."""

    def __init__(self, frozen: Frozen) -> None:
        self.frozen, self._lock = frozen, threading.Lock()
        base = bind(frozen.base, "the study's base")
        self.training = base.training
        self._corpora: dict[str, Corpus] = {}
        self._corpus(base)  # before a trial is claimed, whose heartbeat a long scan would let go stale

    def begin(self, claimed: Claimed) -> Begun:
        """Suggest the trial's values and compose its runs.

        Raises:
            OverBudgetError: its model has more parameters than allowed.
            UserError: the values do not go together, or the corpus or split can't be used.
        """
        values = self.frozen.searched.suggest(claimed.trial)
        config = self.frozen.config(values, claimed.number)
        prepared = Prepared(config, self._corpus(config))
        self._check_budget(claimed, prepared)
        parts = self._folds(prepared)
        return Begun(
            claimed, values, [RunFolder(part.run_path) for part in parts], [asdict(part.config) for part in parts]
        )

    def _corpus(self, config: Config) -> Corpus:
        key = json.dumps(config.corpus, sort_keys=True)
        with self._lock:
            if key not in self._corpora:
                self._corpora[key] = scan_corpus(config)
            return self._corpora[key]

    def _check_budget(self, claimed: Claimed, prepared: Prepared) -> None:
        most = self.frozen.constraints.get(PARAMETERS)
        if most is None:
            return
        try:
            count = make_learner(prepared).parameters
        except UserError:
            raise
        except Exception as error:  # a model's own words for values that do not suit it: this trial's end alone
            raise UserError(f"the model cannot be made: {type(error).__name__}: {error}") from error
        if PARAMETERS not in claimed.trial.constraints:  # by the worker that had it before
            claimed.trial.set_constraint(PARAMETERS, count - most)
        if count > most:
            raise OverBudgetError(f"{count:,} parameters, more than {most:,.0f}")

    def _folds(self, prepared: Prepared) -> list[Prepared]:
        """The run itself; of a cross-validation the first folds' runs."""
        inner = self.frozen.study.crossval
        if inner is None:
            return [prepared]
        tasks = plan(prepared, Settings()).tasks
        return [task.prepared for task in tasks[: inner.folds]]


class TrialRun:
    """The process that trains a trial's runs one after the other.

    Args:
        environment: of the process, whole.
        threads: that it computes with.
        study: its name, for messages.
    """

    def __init__(self, begun: Begun, environment: Mapping[str, str], threads: int, study: str) -> None:
        self.begun = begun
        self.log = begun.runs[0].trial_log(begun.claimed.number)
        arguments = (begun.trees, f"study {study}, {begun.name}")
        self._kills, self._lock = kernel_kills(), threading.Lock()
        self.child: Child = start(begun.name, train_all, arguments, environment, threads, self.log)
        self._asked: Outcome | None = None
        self._until = math.inf

    @property
    def alive(self) -> bool:
        return self.child.exitcode is None

    def wait(self) -> bool:
        """For a moment at the most; whether it still runs."""
        wait([self.child.process.sentinel], timeout=LOOK)
        return self.alive

    def ask(self, outcome: Outcome, at_once: bool = False) -> None:
        """Let it stop at its step's end, or kill it: that will be its outcome. What was asked first counts."""
        with self._lock:
            if self._asked is None:
                self._asked, self._until = outcome, time.monotonic() + PATIENCE
                self.child.signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def enforce(self) -> None:
        """Kill it where it was asked and has had its time."""
        if time.monotonic() > self._until:
            self.child.signal(signal.SIGKILL)

    def kill(self) -> None:
        """Now, because its worker fails; it is to be gone on with."""
        self.ask(Stopped())
        self.child.signal(signal.SIGKILL)

    def outcome(self) -> Outcome:
        """Once its process has ended."""
        while self.wait():
            pass
        self.child.alive.close()
        killed = kernel_kills() > self._kills
        how = reason(self.child.exitcode or 0, stopped=self._asked is not None, kernel_killed=killed)
        if how == FINISHED:
            return Completed()
        lines = tail(self.log)
        if isinstance(self._asked, Failed):
            return Failed(self._asked.why, lines)
        return self._asked or (Stopped() if how == STOPPED else Failed(_with_words(how, lines), lines))


def _with_words(how: str, log: Sequence[str]) -> str:
    """How it ended, of an exception without a name of its own with the last that its process said."""
    words = next((line.strip() for line in reversed(log) if line.strip()), "")
    return f"{how}: {words[:WORDS]}" if how == FAILED and words else how
