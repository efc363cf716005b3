"""A worker: claims trials, runs each as a child, follows it, and tells the study how it ended."""

from collections.abc import Iterator

from optuna.study import Study
from optuna.trial import TrialState

from ser_lightning.errors import UserError
from ser_lightning.runs.endings import FINISHED, MEMORY, STOPPED
from ser_lightning.runs.launcher import tail
from ser_lightning.runs.lock import forget
from ser_lightning.runs.slots import Job, Slots, environments
from ser_lightning.sweeps.board import Board
from ser_lightning.sweeps.claims import Claimed, Claims
from ser_lightning.sweeps.following import Following, follow
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.limits import resident
from ser_lightning.sweeps.result import value
from ser_lightning.sweeps.track import Tracker
from ser_lightning.sweeps.trial import PARAMETERS, Begun, OverBudgetError, Preparation
from ser_lightning.training.stopping import StoppedError, StopRequest, on_signals


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
        self.failed: list[str] = []
        """Reasons of the trials that failed since the last that did not."""
        self.slots = Slots(environments(self.preparation.device, jobs, self.preparation.ranks), stop, self)

    def work(self) -> None:
        """Until every trial of the study has ended, whoever runs it.

        Raises:
            TiredError: `study.failures` trials in a row failed for one reason.
            StoppedError: it was asked to stop; what ran goes on when a worker is started again.
        """
        try:
            with on_signals(self.stop), self.board:
                self.slots.work(self._coming())
        finally:
            for number in self.claims.held:  # nobody else would take what a living process has
                self.claims.leave(number)
        if self.stop.reason:
            raise StoppedError(self.stop.reason, self.stop.exit_code)
        if self._tired:
            raise TiredError(
                f"{len(self.failed)} trials in a row ended with: {self.failed[-1]}; mend that, then start the same "
                "command again for the trials that are left"
            )

    def begun(self, job: Job) -> None:
        """A trial's child runs."""

    def tick(self) -> None:
        """Heartbeats, reports, and reasons to stop a trial."""
        lost = self.claims.beat()
        for name, (begun, following) in self.running.items():
            if name not in self.asked and (why := self._why_stop(begun, following, lost)):
                self.asked[name] = why
                self.slots.end(begun.job)
        self.board.tick()

    def ended(self, job: Job, reason: str) -> None:
        """Tell the study; a trial that another worker took over is left to it."""
        begun, following = self.running.pop(job.name)
        asked = self.asked.pop(job.name, "")
        if not self.claims.owns(begun.claimed.number):
            following.close(TrialState.FAIL)
            return
        if reason == FINISHED:
            following.tick()
            state = self._complete(begun)
        elif reason == STOPPED and not asked:
            self.claims.leave(begun.claimed.number)
            state = TrialState.FAIL
        elif asked.startswith("pruned"):
            state = self._tell(begun.claimed, TrialState.PRUNED, asked)
        else:
            state = self._tell(begun.claimed, TrialState.FAIL, asked or reason, "\n".join(tail(job.log)))
        following.close(state)
        if self.tracker:
            self.tracker.ended(begun.claimed.number, begun.runs)

    def _coming(self) -> Iterator[Job | None]:
        """Jobs of claimed trials; None while all are taken and some run elsewhere, whose worker may die."""
        while not self._tired and not self.stop.reason:
            claimed = self.claims.claim()
            if claimed and (begun := self._begin(claimed)):
                yield begun.job
            elif claimed:
                self.tick()  # a row of trials that end before they begin must not silence the heartbeats of others
            elif claimed is None and self._elsewhere():
                yield None
            elif claimed is None:
                return

    def _begin(self, claimed: Claimed) -> Begun | None:
        """The trial made ready; None where it ended before it was begun."""
        try:
            begun = self.preparation.begin(claimed)
        except OverBudgetError as error:
            self._tell(claimed, TrialState.PRUNED, str(error))
            return None
        except UserError as error:
            self._tell(claimed, TrialState.FAIL, str(error))
            return None
        for run in begun.runs:
            forget(run.lock, claimed.before)
        self.claims.started(claimed.number, begun.runs[0].path)
        key, pruner = next(iter(self.frozen.study.objectives)), self.frozen.study.pruner["name"]
        self.running[begun.job.name] = begun, follow(begun, self.claims.study, key, pruner, self.firsts)
        return begun

    def _elsewhere(self) -> bool:
        states = (TrialState.RUNNING, TrialState.WAITING)
        return bool(self.claims.study.get_trials(deepcopy=False, states=states))

    def _why_stop(self, begun: Begun, following: Following, lost: list[int]) -> str:
        if begun.claimed.number in lost:
            return "taken over by another worker"
        most = self.frozen.study.memory
        if most is not None and resident(self.slots.pid(begun.job)) > most:
            return f"{MEMORY} (more than study.memory={most} MiB)"  # no figure: reasons in a row are compared
        return following.tick()

    def _complete(self, begun: Begun) -> TrialState:
        try:
            for key, most in self.frozen.constraints.items():
                if key != PARAMETERS:
                    begun.claimed.trial.set_constraint(key, value(begun.runs, key) - most)
            values = [value(begun.runs, key) for key in self.frozen.study.objectives]
        except UserError as error:
            return self._tell(begun.claimed, TrialState.FAIL, str(error))
        self.claims.finish(begun.claimed, TrialState.COMPLETE, values)
        self.failed.clear()
        return TrialState.COMPLETE

    def _tell(self, claimed: Claimed, state: TrialState, reason: str, log_end: str = "") -> TrialState:
        if not self.claims.finish(claimed, state, None, reason, log_end):
            return state
        if state == TrialState.FAIL:
            self.failed = [*self.failed, reason] if self.failed[-1:] == [reason] else [reason]
        else:
            self.failed.clear()
        return state

    @property
    def _tired(self) -> bool:
        return len(self.failed) >= self.frozen.study.failures
