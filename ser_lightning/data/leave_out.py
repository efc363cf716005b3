"""Leave-one-out: one speaker or one session tests, the next ones validate, the others train."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ser_lightning.data.groups import By, groups
from ser_lightning.data.splits import Assignment, SplitRow, deal, joined, shuffled
from ser_lightning.errors import UserError


@dataclass(frozen=True)
class LeaveSpeakerOut:
    """Leave one speaker out; speakers that share a recording count as one."""

    speaker_dependent: ClassVar[bool] = False
    fold: int = 0
    """The speaker that tests, from 0, in the order of names."""
    validation: int = 2
    """Speakers that validate; over all folds each does so equally often."""
    seed: int = 0
    """Seed of the ring in which the tested speaker's successors validate."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        return _leave_out(rows, "speaker", self.fold, self.validation, self.seed)

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return len(_units(rows, "speaker"))


@dataclass(frozen=True)
class LeaveSessionOut:
    """Leave one session out; sessions that share a speaker or a recording count as one."""

    speaker_dependent: ClassVar[bool] = False
    fold: int = 0
    """The session that tests, from 0, in the order of names."""
    validation: int = 1
    """Sessions that validate; over all folds each does so equally often."""
    seed: int = 0
    """Seed of the ring in which the tested session's successors validate."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        return _leave_out(rows, "session", self.fold, self.validation, self.seed)

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return len(_units(rows, "session"))


def _leave_out(rows: Sequence[SplitRow], by: By, fold: int, validation: int, seed: int) -> Assignment:
    units = _units(rows, by)
    if not 0 <= fold < len(units):
        raise UserError(f"split.fold={fold}: there are {len(units)} {by}s to leave out, counted from 0")
    if not 1 <= validation <= len(units) - 2:
        raise UserError(
            f"split.validation={validation}: must be at least 1 and leave one of {len(units)} {by}s to test and one "
            "to train"
        )
    # Drawn before the fold is taken, so that the folds share one ring; names alone may sort men before women.
    ring = shuffled(units, seed)
    at = ring.index(units[fold])
    return deal(rows, joined((ring * 2)[at + 1 : at + 1 + validation]), set(units[fold]))


def _units(rows: Sequence[SplitRow], by: By) -> list[frozenset[str]]:
    """Groups in the order of their first speaker's or session's name."""
    units = groups(rows, by, ("split=leave_session_out", "split=loso"))
    if by == "speaker":
        return units
    first: dict[str, str] = {}
    for row in rows:
        first[row.speaker] = min(first.get(row.speaker, row.session), row.session)
    return sorted(units, key=lambda unit: min(first[speaker] for speaker in unit))
