"""Something that a worker needs is away: it is tried again for a while, and trainings go on meanwhile."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import TrialState

from ser_lightning.console import say
from ser_lightning.errors import UserError

LONGEST = 600.0
"""Seconds after which a worker gives up: time enough to start a server again, and little of a night."""
PAUSES = (0.25, 10.0)
"""Seconds between two tries: the first, and the longest; each is twice the one before."""
TICK = 0.5
"""Seconds between two calls of what has to go on meanwhile."""


class OutageError(UserError):
    """Something that a worker needs stayed away for too long: no trial's failure, but the worker's end."""


class Outage:
    """Tells of a thing once when it goes and once when it is back; it is away while `since` is set.

    Args:
        what: names it, without a password.
    """

    def __init__(self, what: str) -> None:
        self.what, self.since = what, 0.0
        self._told = False

    def failed(self, why: object) -> None:
        """It did not answer. The first time nothing is said: what passes by itself is nobody's concern.

        Raises:
            OutageError: nor has it for `LONGEST`.
        """
        if not self.since:
            self.since = time.monotonic()
        elif time.monotonic() - self.since > LONGEST:
            raise OutageError(
                f"{self.what} has not answered for {LONGEST / 60:.0f} minutes: {why}; bring it back, then start the "
                "same command again: trials that were running go on after their last whole epoch"
            )
        elif not self._told:
            self._told = True
            _say(f"{self.what} does not answer ({why}); trying again for {LONGEST / 60:.0f} minutes, training goes on")

    def over(self) -> None:
        """It answered."""
        if self._told:
            _say(f"{self.what} is back after {time.monotonic() - self.since:.0f} s")
        self.since, self._told = 0.0, False


class Patient:
    """An Optuna storage each of whose calls is made again while its server is away.

    A call whose answer was lost may have been carried out. Only of a new trial there may then be one more: other calls
    do the same twice, or are not repeated where the trial is already as they would leave it, as nobody but its owner
    changes a trial.

    Args:
        inner: the storage.
        what: names it, without a password.
        away: exceptions that say that it does not answer, possibly as the cause of Optuna's StorageInternalError.
        said: an exception's words on one line, without a password.
    """

    def __init__(
        self,
        inner: BaseStorage,
        what: str,
        away: tuple[type[Exception], ...],
        said: Callable[[Exception], str] = str,
    ) -> None:
        self.inner, self._outage, self._away, self._said = inner, Outage(what), away, said
        self._caught: tuple[type[Exception], ...] = (StorageInternalError, *away)
        self.meanwhile: Callable[[], None] = lambda: None

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        return partial(self._patiently, name, found) if callable(found) else found

    def _patiently(self, name: str, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        pause, again = PAUSES[0], False
        while True:
            try:
                found = True if again and self._carried_out(name, *args, **kwargs) else call(*args, **kwargs)
            except self._caught as error:
                if not isinstance(cause_of(error), self._away):
                    raise
                self._failed(error)
                self._pause(pause)
                pause, again = min(2 * pause, PAUSES[1]), True
                continue
            self._outage.over()
            return found

    def _failed(self, error: Exception) -> None:
        try:
            self._outage.failed(self._said(error))
        except OutageError as given_up:
            raise given_up from error

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.meanwhile()
            time.sleep(min(TICK, left))

    def _carried_out(self, name: str, trial_id: int = -1, *args: Any, **kwargs: Any) -> bool:
        """Whether a call that must not be made twice, and whose answer was lost, has done what it should."""
        if name == "set_trial_param":
            return args[0] in self.inner.get_trial(trial_id).params
        if name == "set_trial_state_values":
            return self._has_state(trial_id, *args, **kwargs)
        return False

    def _has_state(self, trial_id: int, state: TrialState, values: Sequence[float] | None = None) -> bool:
        found = self.inner.get_trial(trial_id)
        return found.state == state and (values is None or found.values == list(values))


BaseStorage.register(Patient)


@contextmanager
def meanwhile(study: Study, call: Callable[[], None]) -> Iterator[None]:
    """While the study's storage is away, `call` is called every half second or so."""
    storage = study._storage
    if not isinstance(storage, Patient):
        yield
        return
    storage.meanwhile = call
    try:
        yield
    finally:
        storage.meanwhile = lambda: None


def cause_of(error: BaseException) -> BaseException | None:
    """What Optuna's StorageInternalError wraps; any other error is its own cause."""
    return error.__cause__ if isinstance(error, StorageInternalError) else error


def _say(text: str) -> None:
    say(text, style="yellow")
