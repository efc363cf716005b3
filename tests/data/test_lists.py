"""Splits by speakers' names, and how many folds each splitter has."""

from dataclasses import dataclass
from itertools import product

import pytest

from ser_lightning.data.leave_out import LeaveSessionOut, LeaveSpeakerOut
from ser_lightning.data.lists import RAVDESS, Lists, RavdessFolds
from ser_lightning.data.proof import prove
from ser_lightning.data.splits import KFold, RandomKFold, Speakers, Splitter
from ser_lightning.errors import UserError


@dataclass(frozen=True)
class Utt:
    id: str
    speaker: str
    digest: str
    label: str
    session: str = ""


ACTORS = [f"{number:02}" for number in range(1, 25)]
ROWS = [Utt(f"{a}_{t}", a, f"d{a}_{t}", "ab"[t % 2], f"S{int(a) // 5}") for a, t in product(ACTORS, range(10))]


def speakers(parts: dict[str, str], part: str) -> set[str]:
    return {name.partition("_")[0] for name, found in parts.items() if found == part}


def test_ravdess_folds_test_every_actor_once_and_the_next_fold_validates() -> None:
    tested: list[str] = []
    for fold in range(5):
        parts = RavdessFolds(fold=fold).split(ROWS)
        prove(ROWS, parts, speaker_dependent=False)
        assert speakers(parts, "test") == set(RAVDESS[fold])
        assert speakers(parts, "validation") == set(RAVDESS[(fold + 1) % 5])
        tested += speakers(parts, "test")
    assert sorted(tested) == ACTORS


def test_lists_in_turn() -> None:
    lists = [["01", "02"], ["03"], ["04"]]
    parts = Lists(groups=lists, fold=2).split(ROWS)
    assert (speakers(parts, "test"), speakers(parts, "validation")) == ({"04"}, {"01", "02"})
    assert {"03", "05", "24"} <= speakers(parts, "train")


@pytest.mark.parametrize(
    ("splitter", "text"),
    [
        (Lists(groups=[["01"], ["02"]], test=["03"]), "not both"),
        (Lists(test=["01"], validation=["02"], fold=1), "only split.groups has folds"),
        (Lists(groups=[["01"], ["02"], ["01"]]), "01 stands in two lists"),
        (Lists(groups=[["01"], ["77"]]), "^split.groups: no speaker 77"),
        (Lists(validation=["01"], test=["77"]), "^split.test: no speaker 77"),
        (Lists(groups=[["01"], ["02"]], fold=2), "split.fold=2"),
        (Lists(groups=[["01"]]), "two are needed"),
        (RavdessFolds(fold=5), "split.fold=5"),
        (RandomKFold(validation=1.0), "split.validation=1.0"),
    ],
)
def test_mistakes_are_named(splitter: Splitter, text: str) -> None:
    with pytest.raises(UserError, match=text):
        splitter.split(ROWS)


def test_the_actors_of_ravdess_are_asked_for_by_the_splits_name() -> None:
    with pytest.raises(UserError, match=r"^split=ravdess_folds: no speaker 01; there are 02, 03"):
        RavdessFolds().split([row for row in ROWS if row.speaker != "01"])


@pytest.mark.parametrize(
    ("splitter", "count"),
    [
        (Speakers(), 1),
        (KFold(k=7), 7),
        (RandomKFold(k=4), 4),
        (LeaveSpeakerOut(), 24),
        (LeaveSessionOut(), 5),
        (RavdessFolds(), 5),
        (Lists(test=["01"], validation=["02"]), 1),
        (Lists(groups=[["01"], ["02"], ["03"]]), 3),
    ],
)
def test_folds_are_counted(splitter: Splitter, count: int) -> None:
    assert splitter.folds(ROWS) == count


def test_a_share_of_the_other_folds_validates_and_the_folds_that_test_stay() -> None:
    whole, shared = RandomKFold(fold=1).split(ROWS), RandomKFold(fold=1, validation=0.25).split(ROWS)
    assert {i for i, part in whole.items() if part == "test"} == {i for i, part in shared.items() if part == "test"}
    found = [row.label for row in ROWS if shared[row.id] == "validation"]
    assert (len(found), found.count("a")) == (48, 24)
