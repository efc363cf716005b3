"""Stratified deals keep groups whole and parts close to the corpus, closer than deals in turn."""

import random
from dataclasses import dataclass

import pytest

from ser_lightning.data.proof import prove
from ser_lightning.data.splits import PARTS, Assignment, KFold, Speakers


@dataclass(frozen=True)
class Utt:
    id: str
    speaker: str
    label: str
    session: str = ""

    @property
    def digest(self) -> str:
        return self.id


def lopsided(seed: int = 0) -> list[Utt]:
    """20 speakers of 5 to 40 utterances, each of whom favours one of three classes."""
    draw = random.Random(seed)
    rows = []
    for speaker in range(20):
        weights = [1.0, 1.0, 1.0]
        weights[speaker % 3] = 6.0
        for take in range(draw.randint(5, 40)):
            rows.append(Utt(f"s{speaker:02}_{take}", f"s{speaker:02}", draw.choices("abc", weights)[0]))
    return rows


def spread(rows: list[Utt], folds: list[Assignment]) -> float:
    """Largest distance of a test part's share of a class, or of all utterances, from an equal share."""
    far = []
    for label in ("a", "b", "c", None):
        of = [row for row in rows if label in (row.label, None)]
        far += [abs(sum(fold[r.id] == "test" for r in of) / len(of) - 1 / len(folds)) for fold in folds]
    return max(far)


@pytest.mark.parametrize("seed", range(5))
def test_folds_are_closer_than_in_turn_and_whole(seed: int) -> None:
    rows = lopsided()
    plain = [KFold(k=5, fold=fold, seed=seed).split(rows) for fold in range(5)]
    even = [KFold(k=5, fold=fold, seed=seed, stratify=True).split(rows) for fold in range(5)]
    assert spread(rows, even) < spread(rows, plain) / 2
    assert all(sum(fold[row.id] == "test" for fold in even) == 1 for row in rows)
    for fold in even:
        prove(rows, fold, speaker_dependent=False)


def test_a_deal_found_by_hand() -> None:
    # Sizes 4, 3, 3, 2 of one class in two folds of 6; in three folds the fourth joins one of the two threes.
    rows = [Utt(f"{name}{i}", name, "a") for name, n in (("p", 4), ("q", 3), ("r", 3), ("s", 2)) for i in range(n)]
    folds = [KFold(k=3, fold=fold, stratify=True).split(rows) for fold in range(3)]
    tests = {frozenset(row.speaker for row in rows if fold[row.id] == "test") for fold in folds}
    assert frozenset("p") in tests
    assert tests <= {frozenset(x) for x in ("p", "q", "r", "qs", "rs")}


def test_as_many_folds_as_speakers_leaves_none_empty() -> None:
    rows = [Utt(f"{name}{i}", name, label) for name, label in ("xa", "yb", "zc", "wa") for i in range(3)]
    tests = [KFold(k=4, fold=fold, stratify=True).split(rows) for fold in range(4)]
    assert all("test" in set(fold.values()) for fold in tests)


def test_drawn_speakers_complement_each_other_and_depend_on_the_seed() -> None:
    # Of eight speakers four say only a, four only b: two of a kind would test one class alone.
    rows = [Utt(f"s{s}_{i}", f"s{s}", "ab"[s % 2]) for s in range(8) for i in range(5)]
    drawn = set()
    for seed in range(10):
        parts = Speakers(seed=seed, stratify=True).split(rows)
        for part in PARTS:
            assert {row.label for row in rows if parts[row.id] == part} == {"a", "b"}
        drawn.add(frozenset(row.speaker for row in rows if parts[row.id] == "test"))
    assert len(drawn) > 3


def test_the_option_is_off_by_default_and_numbers_stay() -> None:
    rows = lopsided()
    speakers = {row.speaker for row in rows}
    order = [sorted(speakers)[i] for i in _shuffle(len(speakers), 3)]
    parts = Speakers(seed=3).split(rows)
    assert {row.speaker for row in rows if parts[row.id] == "test"} == set(order[:2])
    assert {row.speaker for row in rows if parts[row.id] == "validation"} == set(order[2:4])


def _shuffle(n: int, seed: int) -> list[int]:
    order = list(range(n))
    random.Random(seed).shuffle(order)
    return order
