"""A worker: claims trials, runs each as a child, follows it, and tells the study how it ended."""

import signal
import time
from collections.abc import Iterator, Sequence
from itertools import product

from optuna.study import Study
from optuna.trial import TrialState

from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.endings import FAILED, FINISHED, MEMORY, STOPPED
from ser_lightning.processes.launcher import tail
from ser_lightning.processes.lock import forget
from ser_lightning.processes.memory import resident
from ser_lightning.processes.scheduler import restarted
from ser_lightning.processes.slots import Job, Slots
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.board import Board
from ser_lightning.sweeps.claims import NOTE, Claimed, Claims
from ser_lightning.sweeps.failures import FailureRow
from ser_lightning.sweeps.following import Following, follow
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.outage import OutageError, meanwhile
from ser_lightning.sweeps.result import note, value
from ser_lightning.sweeps.retention import forget_state
from ser_lightning.sweeps.study import TRIALS
from ser_lightning.sweeps.track import Tracker
from ser_lightning.sweeps.trial import PARAMETERS, Begun, OverBudgetError, Preparation
from ser_lightning.training.device import slots_for
from ser_lightning.waiting import Waiting

IDLE = 5.0
"""Seconds at the most between two looks for a trial that a dead worker left, where all are taken."""
NAMED = 5
"""Trials that a line names; of more, it tells the number."""
WORDS = 200
"""Most characters of a log that a reason repeats."""


class TiredError(UserError):
    """Too many trials in a row failed for one reason."""


class Worker:
    """One process's part in a study; `claims` keeps its trials apart from those of other workers.

    Args:
        jobs: trials at a time; None for one, or one a GPU.
        firsts: the study of first folds, where trials are cross-validations.
        tracker: tells W&B how trials ended.
    """

    def __init__(
        self,
        frozen: Frozen,
        claims: Claims,
        firsts: Study | None,
        stop: StopRequest,
        jobs: int | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        self.frozen, self.claims, self.firsts, self.stop = frozen, claims, firsts, stop
        self.preparation = Preparation(frozen)
        self.board, self.tracker = Board(frozen, claims), tracker
        self.running: dict[str, tuple[Begun, Following]] = {}
        self.asked: dict[str, str] = {}
        """Why this worker asked a trial's job to stop."""
        self.row = FailureRow(claims.study, frozen.study.failures)
        self.lost: set[int] = set()
        """Trials that other workers took over."""
        self.waiting, self.next_look, self.next_beat = Waiting(), 0.0, 0.0
        self.progressed = False
        """Whether an epoch of any trial has ended here."""
        training = self.preparation.training
        self.slots = Slots(slots_for(training, jobs), stop, self)

    def work(self) -> None:
        """Until every trial of the study has ended, whoever runs it.

        Raises:
            TiredError: `study.failures` trials in a row failed for one reason.
            StoppedError: it was asked to stop; what ran goes on when a worker is started again.
            OutageError: the storage, or the study's folder, has been away for long; what ran goes on likewise.
        """
        self.row.begin(anew=not restarted())
        studies = [self.claims.study, *([self.firsts] if self.firsts else [])]
        try:
            with on_signals(self.stop), meanwhile(studies, self._meanwhile), self.board:
                self.slots.work(self._coming())
        finally:
            for number in self.claims.held:  # nobody else would take what a living process has
                self.claims.leave(number, self._requeued)
        if self.stop.reason:
            error = StoppedError(self.stop.reason, self.stop.exit_code)
            error.progressed, error.requeues = self.progressed, not self.claims.held_beside()
            raise error
        if reasons := self.row.reasons():
            raise TiredError(
                f"{len(reasons)} trials in a row ended with: {reasons[-1]}; mend that, then start the same command "
                "again for the trials that are left"
            )

    def begun(self, job: Job) -> None:
        """A trial's child runs."""

    def tick(self) -> None:
        """Heartbeats, reports, and reasons to stop a trial."""
        self._beat()
        self._end_too_big()
        for name, (begun, following) in self.running.items():
            if name not in self.asked and (why := self._why_stop(begun, following)):
                self.asked[name] = why
                self.slots.end(begun.job)
        self.board.tick()

    def ended(self, job: Job, reason: str) -> None:
        """Tell the study; a trial that another worker took over is left to it."""
        self.next_look = 0.0
        begun, following = self.running.pop(job.name)
        asked = self.asked.pop(job.name, "")
        self.progressed |= any(run.advanced for run in begun.runs)
        if self.slots.abandoned:
            return  # this worker fails, maybe for its storage: what it has is let go
        if not self.claims.owns(begun.claimed.number):
            following.close(TrialState.FAIL)
            return
        if reason == FINISHED:
            following.tick()
            state = self._complete(begun)
        elif reason == STOPPED and not asked:
            self.claims.leave(begun.claimed.number, self._requeued)
            state = TrialState.FAIL
        elif asked.startswith("pruned"):
            state = self._tell(begun.claimed, TrialState.PRUNED, asked, runs=begun.runs)
        else:
            lines = tail(job.log)
            why = asked or _with_words(reason, lines)
            state = self._tell(begun.claimed, TrialState.FAIL, why, "\n".join(lines), begun.runs)
        following.close(state)
        if self.tracker:
            self.tracker.ended(begun.claimed.number, begun.runs)

    def _coming(self) -> Iterator[Job | None]:
        """Jobs of claimed trials; None while all are taken and some run elsewhere, whose worker may die."""
        while not self.stop.reason:
            if time.monotonic() < self.next_look:
                yield None
                continue
            if self.row.reasons():
                return
            claimed = self.claims.claim()
            if claimed and (begun := self._begin(claimed)):
                yield begun.job
            elif claimed:
                self.tick()  # a row of trials that end before they begin must not silence the heartbeats of others
            elif claimed is None and (others := self._elsewhere()):
                self.next_look = time.monotonic() + min(IDLE, self.claims.beats_every)
                if not self.running:
                    self.waiting.still(f"trials that other workers have: {others}")
                yield None
            elif claimed is None:
                return

    def _begin(self, claimed: Claimed) -> Begun | None:
        """The trial made ready; None where it ended before it was begun."""
        try:
            begun = self.preparation.begin(claimed)
        except OutageError:
            raise
        except OverBudgetError as error:
            self._tell(claimed, TrialState.PRUNED, str(error))
            return None
        except UserError as error:
            self._tell(claimed, TrialState.FAIL, str(error))
            return None
        for run, host in product(begun.runs, claimed.before):
            forget(run.lock, host)
        self.claims.started(claimed.number, begun.runs[0].path)
        self.lost.discard(claimed.number)
        key, pruner = next(iter(self.frozen.study.objectives)), self.frozen.study.pruner["name"]
        self.running[begun.job.name] = begun, follow(begun, self.claims.study, key, pruner, self.firsts)
        return begun

    def _elsewhere(self) -> str:
        """The numbers of trials that have not ended; none where all have."""
        study, states = self.claims.study, (TrialState.RUNNING, TrialState.WAITING)
        total = study.user_attrs[TRIALS]
        found = [t.number for t in study.get_trials(deepcopy=False, states=states) if t.number < total]
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return ", ".join(map(str, found[:NAMED])) + more

    def _meanwhile(self) -> None:
        """While the storage is away: what needs no storage goes on."""
        self._beat()
        self._end_too_big()
        self.slots.pass_on_stop()
        if self.stop.reason and not self.slots.alive:
            raise StoppedError(self.stop.reason, self.stop.exit_code)

    def _end_too_big(self) -> None:
        most = self.frozen.study.memory
        if most is None:
            return
        held = resident()
        for name, (begun, _) in self.running.items():
            if name not in self.asked and held(self.slots.pid(begun.job)) > most:
                # No figure of what it held: reasons in a row are compared.
                self.asked[name] = f"{MEMORY} (more than study.memory={most} MiB)"
                self.slots.end(begun.job, at_once=True)  # with time to stop it would eat the machine

    def _beat(self) -> None:
        """The heartbeats of all trials, when it is time to."""
        if time.monotonic() >= self.next_beat:
            self.next_beat = time.monotonic() + self.claims.beats_every
            self.lost |= set(self.claims.beat())

    def _why_stop(self, begun: Begun, following: Following) -> str:
        if begun.claimed.number in self.lost:
            return "taken over by another worker"
        return following.tick()

    def _complete(self, begun: Begun) -> TrialState:
        try:
            for key, most in self.frozen.constraints.items():
                if key not in (PARAMETERS, *begun.claimed.trial.constraints):
                    begun.claimed.trial.set_constraint(key, value(begun.runs, key) - most)
            values = [value(begun.runs, key) for key in self.frozen.study.objectives]
            if said := note(begun.runs):
                begun.claimed.trial.set_user_attr(NOTE, said)
        except OutageError:
            raise
        except UserError as error:
            return self._tell(begun.claimed, TrialState.FAIL, str(error), runs=begun.runs)
        self.claims.finish(begun.claimed, TrialState.COMPLETE, values)
        return TrialState.COMPLETE

    def _tell(
        self,
        claimed: Claimed,
        state: TrialState,
        reason: str,
        log_end: str = "",
        runs: Sequence[RunFolder] = (),
    ) -> TrialState:
        if not self.claims.finish(claimed, state, None, reason, log_end):
            return state
        for run in runs:
            forget_state(run)
        return state

    @property
    def _requeued(self) -> bool:
        """Whether this worker's job will have itself started again."""
        return self.stop.exit_code == 128 + signal.SIGUSR1


def _with_words(reason: str, log: Sequence[str]) -> str:
    """The reason, of an exception without a name of its own with the last that its process said."""
    words = next((line.strip() for line in reversed(log) if line.strip()), "")
    return f"{reason}: {words[:WORDS]}" if reason == FAILED and words else reason
