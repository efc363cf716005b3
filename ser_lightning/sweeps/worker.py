"""A worker: claims trials, runs each as a child, follows it, and tells the study how it ended."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product

from optuna.trial import TrialState

from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.endings import MEMORY
from ser_lightning.processes.lock import forget
from ser_lightning.processes.memory import resident
from ser_lightning.processes.scheduler import restarted
from ser_lightning.processes.shares import sharing, threads
from ser_lightning.processes.slots import TICK
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.retention import forget_state
from ser_lightning.sweeps.board import TrialBoard
from ser_lightning.sweeps.claims import NOTE, Claimed, Claims
from ser_lightning.sweeps.failures import FailureRow
from ser_lightning.sweeps.following import follow
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.outage import OutageError, meanwhile
from ser_lightning.sweeps.result import note, value
from ser_lightning.sweeps.study import TRIALS
from ser_lightning.sweeps.track import Tracker
from ser_lightning.sweeps.trial import (
    PARAMETERS,
    Begun,
    Completed,
    Failed,
    Lost,
    Outcome,
    OverBudgetError,
    Preparation,
    Pruned,
    Stopped,
    TrialRun,
)
from ser_lightning.training.device import slots_for
from ser_lightning.waiting import Waiting

IDLE = 5.0
"""Seconds at the most between two looks for a trial that a dead worker left, where all are taken."""
NAMED = 5
"""Trials that a line names; of more, it tells the number."""


class TiredError(UserError):
    """Too many trials in a row failed for one reason."""


class Worker:
    """One process's part in a study; `claims` keeps its trials apart from those of other workers.

    Each of its slots is a thread with a loop: claim a trial, run it, tell how it ended. The process itself looks after
    all of them at once: heartbeats, stop requests, memory, and what a person sees.

    Args:
        jobs: trials at a time; None for one, or one a GPU.
        tracker: tells W&B how trials ended.
    """

    def __init__(
        self,
        frozen: Frozen,
        claims: Claims,
        stop: StopRequest,
        jobs: int | None = None,
        tracker: Tracker | None = None,
    ) -> None:
        self.frozen, self.claims, self.stop = frozen, claims, stop
        self.preparation = Preparation(frozen)
        self.board, self.tracker = TrialBoard(frozen, claims), tracker
        self.row = FailureRow(claims.study, frozen.study.failures)
        self.slots = slots_for(self.preparation.training, jobs)
        self.running: dict[int, TrialRun] = {}
        """By the trial's number."""
        self.lost: set[int] = set()
        """Numbers of trials that other workers took over."""
        self.ended = threading.Condition()
        """Told whenever a trial of this worker has ended."""
        self.errors: list[BaseException] = []
        """Of slots and of heartbeats: the first ends the worker."""
        self.progressed = False
        """Whether an epoch of any trial has ended here."""

    def work(self) -> None:
        """Until every trial of the study has ended, whoever runs it.

        Raises:
            TiredError: `study.failures` trials in a row failed for one reason.
            StoppedError: it was asked to stop; what ran goes on when a worker is started again.
            OutageError: the storage, or the study's folder, has been away for long; what ran goes on likewise.
        """
        self.row.begin(anew=not restarted())
        try:
            with (
                on_signals(self.stop),
                meanwhile(self.claims.study, self._meanwhile),
                self.board,
                sharing(len(self.slots)),
            ):
                self._run_slots()
        finally:
            for number in self.claims.held:  # others leave it to this process for as long as it lives
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

    def _loop(self, slot: Mapping[str, str]) -> None:
        """One slot's part: a trial after the other, until all have ended or the worker has to."""
        while (claimed := self._next()) is not None:
            begun = self._begin(claimed)
            if isinstance(begun, Begun):
                self._tell(claimed, self._run(begun, slot), begun.runs)
            else:
                self._tell(claimed, begun)
            with self.ended:
                self.ended.notify_all()

    def _next(self) -> Claimed | None:
        """The next trial; it waits while all are taken and some have not ended: their workers may die."""
        waiting = Waiting()
        while not (self.stop.reason or self.errors or self.row.reasons()):
            if claimed := self.claims.claim():
                self.lost.discard(claimed.number)
                return claimed
            others = self._unfinished()
            if not others:
                return None
            if not self.running:
                waiting.still(f"trials that other workers have: {others}")
            with self.ended:
                self.ended.wait(min(IDLE, self.claims.leases.beats_every))
        return None

    def _begin(self, claimed: Claimed) -> Begun | Pruned | Failed:
        """The trial made ready, or why it ended before it was begun."""
        try:
            begun = self.preparation.begin(claimed)
        except OutageError:
            raise
        except OverBudgetError as error:
            return Pruned(str(error))
        except UserError as error:
            return Failed(str(error))
        for run, host in product(begun.runs, claimed.before):
            forget(run.lock, host)  # of a worker that is dead, on a host where its process cannot be asked for
        self.claims.started(claimed.number, begun.runs[0].path)
        return begun

    def _run(self, begun: Begun, slot: Mapping[str, str]) -> Outcome:
        """Run a trial to its outcome; its runs' epochs are reported until its process has ended."""
        number, settings = begun.claimed.number, self.frozen.study
        key, folds = next(iter(settings.objectives)), settings.crossval is not None
        following = follow(begun, self.claims.study, key, settings.pruner["name"], folds)
        if self.errors or not self.claims.owns(number):
            return Lost()
        trial = TrialRun(begun, slot, threads(len(self.slots)), self.frozen.study.name)
        with self._watched(number, trial):
            while trial.wait():
                if why := following.tick():
                    trial.ask(why)
            outcome = trial.outcome()
        self.progressed |= any(run.advanced for run in begun.runs)
        if not self.errors and not self.claims.owns(number):
            return Lost()
        if isinstance(outcome, Completed):
            following.tick()
        return outcome

    @contextmanager
    def _watched(self, number: int, trial: TrialRun) -> Iterator[None]:
        """While a trial runs it is looked after; whatever ends that leaves no process behind."""
        self.running[number] = trial
        try:
            if self.errors:  # of another slot, since this one looked: who kills what runs may have missed it
                trial.kill()
            if number in self.lost:
                trial.ask(Lost())
            yield
        finally:
            if trial.alive:
                trial.kill()
                trial.outcome()
            del self.running[number]

    def _tell(self, claimed: Claimed, outcome: Outcome, runs: Sequence[RunFolder] = ()) -> None:
        """Tell the study, and W&B; what goes on elsewhere is let go."""
        if self.errors or isinstance(outcome, Lost):
            return  # it is the new owner's; a worker that fails, maybe for its storage, lets all go as it ends
        if isinstance(outcome, Completed):
            outcome = self._completed(claimed, runs)
        if isinstance(outcome, Stopped):
            self.claims.leave(claimed.number, self._requeued)
        elif isinstance(outcome, Pruned | Failed):
            state = TrialState.PRUNED if isinstance(outcome, Pruned) else TrialState.FAIL
            log = "\n".join(outcome.log) if isinstance(outcome, Failed) else ""
            if self.claims.finish(claimed, state, None, outcome.why, log):
                for run in runs:
                    forget_state(run)
        if self.tracker and runs:
            self.tracker.ended(claimed.number, runs)

    def _completed(self, claimed: Claimed, runs: Sequence[RunFolder]) -> Outcome:
        """Tell the study a trial's values; it failed where its results lack one."""
        try:
            for key, most in self.frozen.constraints.items():
                if key not in (PARAMETERS, *claimed.trial.constraints):
                    claimed.trial.set_constraint(key, value(runs, key) - most)
            values = [value(runs, key) for key in self.frozen.study.objectives]
            if said := note(runs):
                claimed.trial.set_user_attr(NOTE, said)
        except OutageError:
            raise
        except UserError as error:
            return Failed(str(error))
        self.claims.finish(claimed, TrialState.COMPLETE, values)
        return Completed()

    def _unfinished(self) -> str:
        """The numbers of trials that have not ended; none where all have."""
        study, states = self.claims.study, (TrialState.RUNNING, TrialState.WAITING)
        total = study.user_attrs[TRIALS]
        found = [t.number for t in study.get_trials(deepcopy=False, states=states) if t.number < total]
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        return ", ".join(map(str, found[:NAMED])) + more

    def _run_slots(self) -> None:
        """Run the loops, and look after what they run, until all have ended; an error in one of them ends the others.

        Raises:
            what a loop, or the heartbeats, raised first.
        """
        over = threading.Event()
        loops = [self._thread(self._loop, slot) for slot in self.slots]
        beating = self._thread(self._beat, over)
        try:
            while any(loop.is_alive() for loop in loops) and not self.errors:
                with self.ended:
                    self.ended.wait(TICK)
                self._look_after()
                self.board.tick()
        except BaseException as error:
            self.errors.append(error)
        finally:
            over.set()
            if self.errors:
                for trial in list(self.running.values()):
                    trial.kill()
            with self.ended:
                self.ended.notify_all()
            for thread in (*loops, beating):
                thread.join()
        if self.errors:
            raise self.errors[0]

    def _thread(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                target(*arguments)
            except BaseException as error:
                self.errors.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def _beat(self, over: threading.Event) -> None:
        """Heartbeats of all trials; those that another worker took over are stopped."""
        while not over.wait(self.claims.leases.beats_every):
            for number in self.claims.beat():
                self.lost.add(number)
                if trial := self.running.get(number):
                    trial.ask(Lost())

    def _look_after(self) -> None:
        """Pass on a stop request, end what holds too much memory, and kill what was asked to stop and does not."""
        most = self.frozen.study.memory
        held = resident() if most is not None and self.running else None
        for trial in list(self.running.values()):
            if self.stop.reason:
                trial.ask(Stopped())
            if held and most is not None and held(trial.child.process.pid or 0) > most:
                # At once: with time to stop it would eat the machine. Without the MiB that it held, which would make
                # every such failure one of its own kind.
                trial.ask(Failed(f"{MEMORY} (more than study.memory={most} MiB)"), at_once=True)
            trial.enforce()

    def _meanwhile(self) -> None:
        """While the storage is away: what needs no storage goes on."""
        self._look_after()
        if self.errors:
            raise StoppedError("an error of this worker", 1)
        if self.stop.reason and not any(trial.alive for trial in list(self.running.values())):
            raise StoppedError(self.stop.reason, self.stop.exit_code)

    @property
    def _requeued(self) -> bool:
        """Whether this worker's job will be started again: it is, by `ser`, after SIGUSR1, which warns of its limit."""
        return self.stop.exit_code == 128 + signal.SIGUSR1
