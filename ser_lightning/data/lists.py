"""Splits by speakers' names: one pair of lists, lists that test in turn, and the published lists of RAVDESS."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from ser_lightning.data.splits import Assignment, SplitRow, deal
from ser_lightning.errors import UserError

RAVDESS = (
    ("02", "05", "14", "15", "16"),
    ("03", "06", "07", "13", "18"),
    ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"),
    ("01", "04", "09", "22"),
)
"""Actors of the five folds that the literature on RAVDESS speech shares."""


@dataclass(frozen=True)
class Lists:
    """Validation and test speakers by name, the others train; or folds of which each tests in turn."""

    speaker_dependent: ClassVar[bool] = False
    validation: list[str] = field(default_factory=list)
    """Speakers that validate."""
    test: list[str] = field(default_factory=list)
    """Speakers that test."""
    groups: list[list[str]] = field(default_factory=list)
    """Instead of the two above: lists of speakers; one tests, the next one validates, all others train."""
    fold: int = 0
    """The list of `groups` that tests, from 0."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        if self.groups and (self.validation or self.test):
            raise UserError("split: give split.groups, or split.validation and split.test, not both")
        if self.groups:
            return in_turn(rows, self.groups, self.fold)
        if self.fold:
            raise UserError(f"split.fold={self.fold}: only split.groups has folds")
        return named(rows, self.validation, self.test)

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return len(self.groups) or 1


@dataclass(frozen=True)
class RavdessFolds:
    """The five published actor folds of RAVDESS: fold `fold` tests, the next one validates, the others train."""

    speaker_dependent: ClassVar[bool] = False
    fold: int = 0
    """The fold that tests, from 0 to 4."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        return in_turn(rows, RAVDESS, self.fold, "split=ravdess_folds")

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return len(RAVDESS)


def in_turn(
    rows: Sequence[SplitRow], groups: Sequence[Sequence[str]], fold: int, source: str = "split.groups"
) -> Assignment:
    """List `fold` tests, the next one validates; `source` is what named the lists, for errors.

    Raises:
        UserError: there is no such list, fewer than two lists, or a speaker is unknown or stands in two lists.
    """
    if len(groups) < 2 or not 0 <= fold < len(groups):
        raise UserError(f"split.fold={fold}: there are {len(groups)} lists, of which two are needed, counted from 0")
    seen = [speaker for group in groups for speaker in group]
    if twice := sorted({speaker for speaker in seen if seen.count(speaker) > 1}):
        raise UserError(f"{source}: {', '.join(twice)} stands in two lists; name each speaker once")
    _check_known(rows, source, seen)
    return named(rows, groups[(fold + 1) % len(groups)], groups[fold])


def named(rows: Sequence[SplitRow], validation: Sequence[str], test: Sequence[str]) -> Assignment:
    """Speakers by name validate and test.

    Raises:
        UserError: a speaker is unknown, or named for both.
    """
    _check_known(rows, "split.validation", validation)
    _check_known(rows, "split.test", test)
    if both := set(validation) & set(test):
        raise UserError(f"split: {', '.join(sorted(both))} stands in validation and in test; name each once")
    return deal(rows, set(validation), set(test))


def _check_known(rows: Sequence[SplitRow], source: str, names: Sequence[str]) -> None:
    known = {row.speaker for row in rows}
    if unknown := sorted(set(names) - known):
        raise UserError(f"{source}: no speaker {', '.join(unknown)}; there are {', '.join(sorted(known))}")
