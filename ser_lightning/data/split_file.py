"""Splits that a file gives: the partition that a challenge or a paper published, for any corpus."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.data.groups import groups
from ser_lightning.data.splits import PARTS, Assignment, Part, SplitRow, shuffled, take
from ser_lightning.data.stratify import alike
from ser_lightning.errors import UserError
from ser_lightning.names import clean
from ser_lightning.strict_csv import read_rows, separator

NAMED = 5
"""Utterances that an error names; of more, it tells the number."""

SPEAKERS = 2
"""Training speakers that validate where neither the file nor the user says who does."""


@dataclass(frozen=True)
class FromFile:
    """Parts from a CSV file with the columns `id` and `part`, such as the `split.csv` of a run.

    A column `fold` gives a partition a fold, with a row for each utterance in each of them; without `part` an utterance
    tests in its own fold and trains in the others. Where a partition has no validation part, whole speakers of its
    training part are drawn to validate: their training rows do.
    """

    file: str
    """The CSV file: an utterance's id, and train, validation or test; rows of other utterances are passed over."""
    fold: int = 0
    """The fold to take, numbered as in the file's column `fold`; 0 where it has none."""
    validation: int | None = None
    """Training speakers that validate where the file has no validation part; null: 2."""
    seed: int = 0
    """Seed of their draw."""
    stratify: bool = False
    """The first of them is drawn; the others are those that bring their classes closest to the training part's."""
    speaker_dependent: bool = False
    """The partition has speakers in two parts; every figure is marked so. Without it such a file is refused."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        given = self._given()
        if absent := [row.id for row in rows if row.id not in given]:
            raise UserError(
                f"{self._place}: no part for {len(absent)} of the corpus's {len(rows)} utterances, such as "
                f"{', '.join(absent[:NAMED])}; add rows for them, or leave their class out with corpus.classes"
            )
        parts = {row.id: given[row.id] for row in rows}
        return self._checked(parts) if "validation" in given.values() else self._drawn(rows, parts)

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return len(self.fold_numbers)

    @property
    def fold_numbers(self) -> Sequence[int]:
        """What `fold` can be, in ascending order; 0 alone for a file without folds."""
        return sorted(self._partitions())

    @property
    def digest(self) -> str:
        """SHA-256 of what the file says of the fold: the path is no part of a run's identity, but this is."""
        return hashlib.sha256(json.dumps(sorted(self._given().items())).encode()).hexdigest()

    def _checked(self, parts: Assignment) -> Assignment:
        if self.validation is not None:
            raise UserError(
                f"split.validation={self.validation}: {self._place} has a validation part of its own; leave "
                "split.validation out"
            )
        return parts

    def _drawn(self, rows: Sequence[SplitRow], parts: Assignment) -> Assignment:
        """`parts` with a validation part of some training speakers."""
        training = [row for row in rows if parts[row.id] == "train"]
        count = SPEAKERS if self.validation is None else self.validation
        order = shuffled(groups(training), self.seed)
        if self.stratify:
            order = alike(training, order, (count,))
        chosen, _ = take(order, count, "split.validation")
        drawn: dict[str, Part] = {row.id: "validation" for row in training if row.speaker in chosen}
        return parts | drawn

    def _given(self) -> Assignment:
        found = self._partitions()
        if self.fold not in found:
            known = ", ".join(map(str, sorted(found)))
            raise UserError(
                f"split.fold={self.fold}: {self.file} has the fold{'s' * (len(found) > 1)} {known}; choose one of "
                "them, or run all with `ser crossval`"
            )
        return found[self.fold]

    @property
    def _place(self) -> str:
        return f"{self.file}, fold {self.fold}" if self.fold or len(self.fold_numbers) > 1 else self.file

    def _partitions(self) -> Mapping[int, Assignment]:
        """Each fold's parts by utterance id, as the file has them; those of fold 0 where it has no folds."""
        rows = self._read()
        if not rows or "fold" not in rows[0]:
            return {0: _parts(self.file, rows)}
        numbers = _numbers(self.file, rows)
        if "part" in rows[0]:
            of = {number: [row for row in rows if int(row["fold"]) == number] for number in numbers}
            return {number: _parts(f"{self.file}, fold {number}", found) for number, found in of.items()}
        _check_once(self.file, rows)
        return {
            number: {row["id"]: "test" if int(row["fold"]) == number else "train" for row in rows} for number in numbers
        }

    def _read(self) -> list[dict[str, str]]:
        try:
            columns, rows = read_rows(Path(self.file), ("id", "part", "fold"))
        except OSError as error:
            raise UserError(f"split.file={self.file}: cannot read it ({error})") from error
        needed = ("id",) if "fold" in columns else ("id", "part")
        if missing := [name for name in needed if name not in columns]:
            raise UserError(
                f"{self.file}: no column {' and '.join(missing)}; its first line must name id and part, or id and fold"
                f"{separator(columns)}"
            )
        for row in rows:
            if row.wrong:
                raise UserError(f"{self.file}, line {row.line}: {row.wrong}")
        return [{**row.fields, "id": clean(row.fields["id"])} for row in rows]


def _parts(place: str, rows: Sequence[Mapping[str, str]]) -> Assignment:
    _check_once(place, rows)
    if wrong := [row for row in rows if row["part"] not in PARTS]:
        row = wrong[0]
        raise UserError(f"{place}: `{row['id']}` has the part `{row['part']}`; parts are {', '.join(PARTS)}")
    return {row["id"]: row["part"] for row in rows}  # type: ignore[misc]


def _check_once(place: str, rows: Sequence[Mapping[str, str]]) -> None:
    if twice := [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]:
        raise UserError(f"{place}: {', '.join(twice[:NAMED])} stands in it more than once; keep one row each")


def _numbers(file: str, rows: Sequence[Mapping[str, str]]) -> Sequence[int]:
    """Of the folds, which count from 0 or 1: a gap would be a fold that was forgotten or misspelt."""
    for row in rows:
        if not (row["fold"] or "").isascii() or not (row["fold"] or "").isdigit():
            raise UserError(
                f"{file}: `{row['id']}` has the fold `{row['fold']}`; folds are whole numbers from 0 or 1 on, and each "
                "fold has a row for every utterance"
            )
    numbers = sorted({int(row["fold"]) for row in rows})
    if numbers[0] > 1 or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        raise UserError(
            f"{file}: its folds are {', '.join(map(str, numbers))}; number them from 0 or 1 on, without a gap"
        )
    return numbers
