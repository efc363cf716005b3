"""Which trial a worker takes next: a dead worker's, else one that waits; each is had by one worker at a time."""

import copy
import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from ser_lightning.processes.identity import ProcessIdentity
from ser_lightning.processes.scheduler import allocation
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.retention import forget_state
from ser_lightning.sweeps.lease import Lease, Leases, Liveness
from ser_lightning.sweeps.outage import Outage
from ser_lightning.sweeps.samplers import sampler
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.study import TRIALS, StudyFolder

RUN, WORKER, ADOPTIONS, REASON, LOG_END, NOTE = "run", "worker", "adoptions", "reason", "log_end", "note"
"""Attributes of a trial."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Claimed:
    """A trial that this worker has."""

    trial: Trial
    number: int
    adopted: bool
    """Whether another worker began it."""
    run: Path | None
    """The folder of its run, where one was begun."""
    before: Sequence[str] = ()
    """Hosts of the workers that had it before, each of which let it go or died."""


@dataclass
class _Held:
    lease: Lease
    trial: Trial
    run: Path | None
    written: bool = False
    """Whether the run's folder says who has it."""
    sure: float = field(default_factory=time.monotonic)
    """When it was last seen that nobody has taken the trial over."""


class Claims:
    """The trials of a study that this process works on, each in a thread of its own.

    Args:
        study: from `open_study`.
        me: this process, unless told otherwise.
    """

    def __init__(
        self, study: Study, folder: StudyFolder, settings: StudySettings, me: ProcessIdentity | None = None
    ) -> None:
        self.study, self.settings = study, settings
        self.leases = Leases(folder.owners, me or ProcessIdentity.here(), settings.stale)
        self._held: dict[int, _Held] = {}
        self._dropped, self._dropping = list[Lease](), threading.Lock()
        """What this worker no longer holds, though files may still say so."""
        self._files, self._unwritten = Outage(f"the folder {folder.owners}"), ""

    @property
    def held(self) -> list[int]:
        """Numbers of the trials that this worker has."""
        return sorted(self._held)

    def claim(self) -> Claimed | None:
        """Take a trial: one that a dead worker left, under its number, else the first that waits.

        None means that all are taken; some may still be running elsewhere, and may be left there. It also means that
        the study's folder is away.

        Raises:
            OutageError: the folder, or the storage, has been away for long.
        """
        try:
            self._let_go()
            claimed = self._claim()
        except OSError as error:
            self._files.failed(error)
            return None
        self._files.over()
        return claimed

    def _claim(self) -> Claimed | None:
        turns, total = self.leases.turns(), self.study.user_attrs[TRIALS]
        open_trials = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING, TrialState.WAITING))
        for found in sorted(open_trials, key=lambda trial: (trial.state == TrialState.WAITING, trial.number)):
            if found.number < total and (claimed := self._take(found, turns.get(found.number))):
                return claimed
        return None

    def liveness(self, trial: FrozenTrial) -> Liveness:
        """Whether the worker of an unfinished trial will go on with it; "dead" where it never had one."""
        return liveness(self.leases, [trial])[trial.number]

    def started(self, number: int, run: Path) -> None:
        """Remember the folder in which the trial is run, and begin its heartbeat there."""
        held = self._held.get(number)
        if held is None:  # it was lost in the meantime
            return
        held.run = run.resolve()
        held.trial.set_user_attr(RUN, str(held.run))
        self._beat(number, held, first=True)

    def beat(self) -> list[int]:
        """Say that this worker lives, every `leases.beats_every`; the numbers of trials that others took over.

        That happens to a worker that was suspended, or cut off from the file system, for longer than `study.stale`:
        it must stop what it does for them, and write nothing more into their folders.
        """
        lost = []
        for number, held in list(self._held.items()):
            if self.owns(number, surely=False):
                self._beat(number, held)
            elif self._held.pop(number, None):
                self._dropped.append(held.lease)
                lost.append(number)
        return lost

    def owns(self, number: int, surely: bool = True) -> bool:
        """Whether the trial is still this worker's; where that cannot be seen, for `study.stale` as it was.

        Args:
            surely: ask a network file system anew, which may remember for up to a minute what it saw before.
        """
        held = self._held.get(number)
        if held is None:
            return False
        try:
            mine = self.leases.holds(held.lease, surely)
        except OSError as error:
            self._files.failed(error)
            return time.monotonic() - held.sure <= self.settings.stale
        self._files.over()
        if mine:
            held.sure = time.monotonic()
        return mine

    def leave(self, number: int, requeued: bool = False) -> None:
        """Let a trial go unfinished, for anybody to go on with at once; it does not count as a death.

        Args:
            requeued: this worker's job will be started again, and should find it.
        """
        self._dropped.append(replace(self._held.pop(number).lease, requeued=requeued))
        with suppress(OSError):  # tried again with the next claim; without one this process ends, and the trial is free
            self._let_go()

    def held_beside(self) -> bool:
        """Whether another process of this one's SLURM step still has a trial: who is last has the job requeued."""
        here = allocation()
        if here is None or here.tasks == 1:
            return False
        try:
            turns, me = self.leases.turns(), self.leases.me
        except OSError:  # who cannot see the others asks for itself: to be asked for twice does no harm
            return False
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        last = [(one, self.leases.read(one.number, turns[one.number])) for one in running if one.number in turns]
        beside = [(trial, one) for trial, one in last if one.who and one.who.job == me.job and one.who != me]
        return any(self._liveness(trial, lease) == "alive" for trial, lease in beside)

    def finish(
        self,
        claimed: Claimed,
        state: TrialState,
        values: Sequence[float] | None = None,
        reason: str = "",
        log_end: str = "",
    ) -> bool:
        """Tell Optuna how the trial ended; False where it was taken over, or is finished, and so left as it is.

        Args:
            values: one an objective for COMPLETE, else None.
            reason: words for PRUNED and FAIL.
            log_end: the last lines of its log.

        Raises:
            ValueError: `values` do not suit the state or the objectives, or one is NaN.
        """
        mine = self.owns(claimed.number)
        told = mine and self._tell(claimed.trial, claimed.number, state, values, {REASON: reason, LOG_END: log_end})
        self._held.pop(claimed.number, None)
        return told

    def _beat(self, number: int, held: _Held, first: bool = False) -> None:
        try:
            self.leases.beat(held.lease, held.run, self.study.study_name, first or not held.written)
            held.written = held.run is not None
        except OSError as error:  # a full disk, say: worth no training, and the others will notice if it lasts
            if self._unwritten != str(error):
                logger.warning("trial %d: no heartbeat: %s", number, error)
            self._unwritten, held.written = str(error), False
        else:
            self._unwritten = ""

    def _let_go(self) -> None:
        with self._dropping:
            while self._dropped:
                if self.leases.holds(lease := self._dropped[0]):
                    self.leases.leave(lease)
                self._dropped.pop(0)

    def _take(self, found: FrozenTrial, turn: int | None) -> Claimed | None:
        last = None if turn is None else self.leases.read(found.number, turn)
        if last and self._liveness(found, last) != "dead":
            return None
        mine = self.leases.take(found.number, last)
        if mine is None:
            return None
        claimed = None
        try:
            trial = self._attach(found)
            claimed = self._begin(trial, mine) if trial else None
        finally:
            if claimed is None:
                self._dropped.append(mine)
                with suppress(OSError):
                    self._let_go()
        return claimed

    def _attach(self, found: FrozenTrial) -> Trial | None:
        """The trial as Optuna's own object, running; None where it was finished before this worker had it."""
        # Optuna has no public way to go on with a trial of another process: `ask` makes a new one where none waits.
        storage, identifier = self.study._storage, found._trial_id
        state = storage.get_trial(identifier).state
        if state.is_finished():
            return None
        if state == TrialState.WAITING and not storage.set_trial_state_values(identifier, TrialState.RUNNING):
            return None
        own = copy.copy(self.study)  # another thread's trial has a sampler of its own
        own.sampler = sampler(self.settings, found.number)
        return Trial(own, identifier)

    def _begin(self, trial: Trial, mine: Lease) -> Claimed | None:
        text = trial.user_attrs.get(RUN)
        run = Path(text) if text else None
        if mine.deaths > self.settings.adoptions:
            why = f"its worker died {mine.deaths} times"
            if self._tell(trial, trial.number, TrialState.FAIL, None, {REASON: why, LOG_END: ""}) and run:
                forget_state(RunFolder(run), self._before(mine, trial.number))
            return None
        try:
            trial.set_user_attr(WORKER, str(self.leases.me))
            trial.set_user_attr(ADOPTIONS, mine.deaths)
        except UpdateFinishedTrialError:
            return None
        self._held[trial.number] = _Held(mine, trial, run)
        return Claimed(trial, trial.number, mine.turn > 0, run, self._before(mine, trial.number))

    def _before(self, mine: Lease, number: int) -> list[str]:
        """Of all turns: who died as soon as it had the trial did not clear away what the one before it had left."""
        earlier = [self.leases.read(number, turn) for turn in range(mine.turn)]
        return sorted({lease.who.host for lease in earlier if lease.who})

    def _liveness(self, trial: FrozenTrial, last: Lease) -> Liveness:
        run = trial.user_attrs.get(RUN)
        return self.leases.liveness(last, Path(run) if run else None)

    def _tell(
        self,
        trial: Trial,
        number: int,
        state: TrialState,
        values: Sequence[float] | None,
        attributes: dict[str, str],
    ) -> bool:
        try:
            for key, text in attributes.items():
                if text or key in trial.user_attrs:  # of a worker that died between saying why and ending the trial
                    trial.set_user_attr(key, text)
            trial.study.tell(number, values, state)
        except (UpdateFinishedTrialError, ValueError):
            if trial.storage.get_trial(trial._trial_id).state.is_finished():
                return False
            raise
        return True


def liveness(leases: Leases, trials: Sequence[FrozenTrial]) -> dict[int, Liveness]:
    """Whether the workers of unfinished trials will go on with them, by the trial's number.

    Raises:
        OSError: the folder of the leases cannot be read, or written: the present is asked of its file system by a file.
    """
    turns = leases.turns() if trials else {}
    found: dict[int, Liveness] = {}
    for trial in trials:
        turn, run = turns.get(trial.number), trial.user_attrs.get(RUN)
        last = None if turn is None else leases.read(trial.number, turn)
        found[trial.number] = leases.liveness(last, Path(run) if run else None) if last else "dead"
    return found
