"""Which utterances train, validate and test. A split is a value; its proof is in `proof.py`.

A split sees `SplitRow`s only. What must stay together (a speaker; speakers that share a recording or a session) is a
group, and the splitters here but `RandomKFold` deal whole groups.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from ser_lightning.data.groups import Recorded, groups
from ser_lightning.data.stratify import alike, even
from ser_lightning.errors import UserError

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
Assignment = dict[str, Part]
"""Utterance id -> part."""


class SplitRow(Recorded, Protocol):
    """What a split needs of an utterance."""

    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...


class Splitter(Protocol):
    """Deals utterances to parts; `speaker_dependent` marks everything that comes of it."""

    @property
    def speaker_dependent(self) -> bool: ...

    def split(self, rows: Sequence[SplitRow]) -> Assignment: ...

    def folds(self, rows: Sequence[SplitRow]) -> int:
        """How many values `fold` can take; 1 for a splitter without folds."""


def fold_numbers(splitter: Splitter, rows: Sequence[SplitRow]) -> Sequence[int]:
    """The values that `fold` can take: from 0 on, unless the splitter's `fold_numbers` says otherwise."""
    own: Sequence[int] | None = getattr(splitter, "fold_numbers", None)
    return range(splitter.folds(rows)) if own is None else own


@dataclass(frozen=True)
class Speakers:
    """Some speakers test, some validate, the others train; drawn with a seed."""

    speaker_dependent: ClassVar[bool] = False
    validation: int = 2
    """Speakers that validate."""
    test: int = 2
    """Speakers that test."""
    seed: int = 0
    """Seed of the draw."""
    by: Literal["speaker", "session"] = "speaker"
    """session: speakers of one session stay together."""
    stratify: bool = False
    """Of each part the first speaker is drawn; the others are those that bring its classes closest to the corpus's."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        order = shuffled(groups(rows, self.by), self.seed)
        if self.stratify:
            order = alike(rows, order, (self.test, self.validation))
        test, order = take(order, self.test, "split.test")
        validation, order = take(order, self.validation, "split.validation")
        return deal(rows, validation, test)

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return 1


@dataclass(frozen=True)
class KFold:
    """k folds over speakers: fold `fold` tests, the next one validates, the others train."""

    speaker_dependent: ClassVar[bool] = False
    k: int = 5
    """Folds, 3 or more."""
    fold: int = 0
    """The fold that tests, from 0."""
    seed: int = 0
    """Seed of the deal of speakers to folds."""
    by: Literal["speaker", "session"] = "speaker"
    """session: speakers of one session stay together."""
    stratify: bool = False
    """Deal so that folds are close in size and in class shares, not in turn."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        units = shuffled(groups(rows, self.by), self.seed)
        _check_fold(self.k, self.fold, len(units), f"groups of {self.by}s")
        parts = even(rows, units, self.k) if self.stratify else [units[i :: self.k] for i in range(self.k)]
        return deal(rows, joined(parts[(self.fold + 1) % self.k]), joined(parts[self.fold]))

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return self.k


@dataclass(frozen=True)
class RandomKFold:
    """Folds over recordings drawn at random within classes, speakers on both sides: the DS-LSTM paper's protocol.

    Figures are inflated by speaker identity and are comparable with such protocols only.
    """

    speaker_dependent: ClassVar[bool] = True
    k: int = 5
    """Folds, 3 or more."""
    fold: int = 0
    """The fold that tests, from 0; the next one validates."""
    seed: int = 0
    """Seed of the deal of recordings to folds."""
    validation: float | None = None
    """Share of the other folds' recordings that validate, drawn within classes; null: the next fold does."""

    def split(self, rows: Sequence[SplitRow]) -> Assignment:
        label = {row.digest: row.label for row in sorted(rows, key=lambda row: row.id)}
        _check_fold(self.k, self.fold, len(label), "recordings")
        digests = sorted(label)
        random.Random(self.seed).shuffle(digests)
        # Sorted by class, which keeps the drawn order within: dealing in turn then stratifies.
        fold = {digest: i % self.k for i, digest in enumerate(sorted(digests, key=label.__getitem__))}
        test = {digest for digest in digests if fold[digest] == self.fold}
        validation = {digest for digest in digests if fold[digest] == (self.fold + 1) % self.k}
        if self.validation is not None:
            rest = {digest: label[digest] for digest in digests if digest not in test}
            validation = _share(rest, self.validation)
        return {
            row.id: "test" if row.digest in test else "validation" if row.digest in validation else "train"
            for row in rows
        }

    def folds(self, rows: Sequence[SplitRow]) -> int:
        return self.k


def _share(labels: Mapping[str, str], share: float) -> set[str]:
    """The first recordings of each class, that share of it and one at least."""
    if not 0 < share < 1:
        raise UserError(f"split.validation={share}: must be a share above 0 and below 1, or null")
    by_class = {label: [digest for digest in labels if labels[digest] == label] for label in set(labels.values())}
    return {digest for found in by_class.values() for digest in found[: max(1, round(share * len(found)))]}


def shuffled(units: Sequence[frozenset[str]], seed: int) -> list[frozenset[str]]:
    """The groups in an order that the seed draws."""
    order = list(units)
    random.Random(seed).shuffle(order)
    return order


def take(order: list[frozenset[str]], count: int, key: str) -> tuple[set[str], list[frozenset[str]]]:
    """The speakers of the first `count` groups, and the groups that are left.

    Raises:
        UserError: there are not so many, or none would be left; `key` is what asked for them.
    """
    if count < 1 or count >= len(order):
        raise UserError(
            f"{key}={count}: must be at least 1 and leave speakers for the other parts; "
            f"{len(order)} groups of speakers are left"
        )
    return joined(order[:count]), order[count:]


def joined(units: Iterable[frozenset[str]]) -> set[str]:
    """The speakers of all groups."""
    return {speaker for unit in units for speaker in unit}


def _check_fold(k: int, fold: int, units: int, what: str) -> None:
    if not 3 <= k <= units:
        raise UserError(f"split.k={k}: needs 3 folds at least (train, validation, test) and at most {units} {what}")
    if not 0 <= fold < k:
        raise UserError(f"split.fold={fold}: folds count from 0 to {k - 1}")


def deal(rows: Sequence[SplitRow], validation: set[str], test: set[str]) -> Assignment:
    """The speakers of two sets validate and test, the others train."""
    parts: Mapping[str, Part] = dict.fromkeys(validation, "validation") | dict.fromkeys(test, "test")  # type: ignore[assignment]
    return {row.id: parts.get(row.speaker, "train") for row in rows}
