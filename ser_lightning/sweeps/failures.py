"""Trials that fail in a row for one reason end a sweep: counted over all of its workers, in the order they ended."""

import re
from collections.abc import Iterator, Sequence

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from ser_lightning.processes.endings import FAILED
from ser_lightning.sweeps.claims import REASON

ANEW = "counted_anew"
"""Attribute of the study: how many trials had ended when somebody started it again after failures had stopped it."""
ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class FailureRow:
    """The row that ends a study, read from its trials, so that every worker, and every start, sees the same one.

    Args:
        study: from `open_study`.
        most: trials that may fail in a row for one reason, less one.
    """

    def __init__(self, study: Study, most: int) -> None:
        self.study, self.most = study, most

    def begin(self, anew: bool) -> None:
        """At a worker's start: where failures have stopped the study, what ended until now counts no more.

        Args:
            anew: whether somebody has started it; a job that the scheduler starts again goes on counting.
        """
        if anew and self.reasons():
            self.study.set_user_attr(ANEW, len(self._ended()))

    def reasons(self) -> list[str]:
        """Why the trials of the row failed, in the order in which they ended; empty while there is no such row.

        What ends well after it does not undo it: it may have begun before.
        """
        for row in rows(self._ended()[self.study.user_attrs.get(ANEW, 0) :]):
            if len(row) >= self.most:
                return row
        return []

    def _ended(self) -> list[FrozenTrial]:
        found = self.study.get_trials(deepcopy=False, states=ENDED)
        return sorted(found, key=lambda trial: (trial.datetime_complete, trial.number))


def rows(ended: Sequence[FrozenTrial]) -> Iterator[list[str]]:
    """Reasons of trials that failed for one, each row as long as it got; `ended` in the order of their ends."""
    row: list[str] = []
    for trial in ended:
        reason = trial.user_attrs.get(REASON, "") if trial.state == TrialState.FAIL else ""
        if row and not (reason and _same(row, reason)):
            yield row
            row = []
        row = [*row, reason] if reason else []
    if row:
        yield row


def _same(row: Sequence[str], reason: str) -> bool:
    """Whether a reason continues a row; one whose log had no words is any of the same exit code."""
    known = next((one for one in row if one != FAILED), FAILED)
    if FAILED in (known, reason):
        return known.startswith(FAILED) and reason.startswith(FAILED)
    return _kind(known) == _kind(reason)


def _kind(reason: str) -> str:
    """What reasons are compared by: without paths and figures, which are those of the trial."""
    return re.sub(r"\d[\d.,]*(e[+-]?\d+)?", "0", re.sub(r"\S*/\S*", "/", reason))
