"""Splits deal whole speakers, keep identical audio together, and prove it."""

from dataclasses import dataclass
from itertools import product

import pytest

from ser_lightning.data.groups import groups
from ser_lightning.data.lists import Lists
from ser_lightning.data.proof import LeakError, prove
from ser_lightning.data.splits import KFold, RandomKFold, Speakers, Splitter
from ser_lightning.errors import UserError


@dataclass(frozen=True)
class Utt:
    id: str
    speaker: str
    digest: str
    label: str
    session: str = ""


def corpus(speakers: int = 10, takes: int = 4) -> list[Utt]:
    return [Utt(f"s{s}_{t}", f"s{s}", f"d{s}_{t}", "ab"[t % 2]) for s, t in product(range(speakers), range(takes))]


@pytest.mark.parametrize(
    "splitter",
    [
        Speakers(),
        Speakers(validation=3, test=1, seed=5),
        KFold(),
        KFold(k=3, fold=2),
        Lists(validation=["s1", "s2"], test=["s9"]),
    ],
)
def test_no_speaker_stands_in_two_parts_and_none_is_lost(splitter: Splitter) -> None:
    rows = corpus()
    parts = splitter.split(rows)
    assert set(parts) == {row.id for row in rows}
    homes = {
        speaker: {parts[row.id] for row in rows if row.speaker == speaker} for speaker in {r.speaker for r in rows}
    }
    assert all(len(home) == 1 for home in homes.values())
    assert set.union(*homes.values()) == {"train", "validation", "test"}
    prove(rows, parts, splitter.speaker_dependent)


def test_counts_of_speakers_are_as_asked() -> None:
    rows = corpus()
    parts = Speakers(validation=3, test=2).split(rows)
    held = {part: {row.speaker for row in rows if parts[row.id] == part} for part in ("train", "validation", "test")}
    assert [len(held[part]) for part in ("train", "validation", "test")] == [5, 3, 2]


def test_splits_depend_on_their_seed_and_not_on_the_order_of_rows() -> None:
    rows = corpus()
    assert Speakers(seed=1).split(rows) == Speakers(seed=1).split(rows[::-1])
    assert Speakers(seed=1).split(rows) != Speakers(seed=2).split(rows)
    assert RandomKFold().split(rows) == RandomKFold().split(rows[::-1])


@pytest.mark.parametrize("kind", [KFold, RandomKFold])
def test_each_row_tests_in_one_fold_and_validates_in_one(kind: type) -> None:
    rows = corpus()
    folds = [kind(k=5, fold=fold).split(rows) for fold in range(5)]
    for part in ("test", "validation"):
        assert all(sum(fold[row.id] == part for fold in folds) == 1 for row in rows)


def test_random_folds_share_speakers_and_say_so() -> None:
    rows = corpus()
    parts = RandomKFold().split(rows)
    proof = prove(rows, parts, RandomKFold.speaker_dependent)
    assert proof.speaker_dependent
    assert any(proof.shared_speakers.values())
    assert not any(proof.shared_digests.values())


def test_speakers_that_share_a_recording_stay_together() -> None:
    rows = [*corpus(), Utt("copy", "s3", "d7_0", "a"), Utt("copy2", "s7", "d8_1", "b")]
    assert frozenset({"s3", "s7", "s8"}) in groups(rows)
    for seed in range(20):
        parts = Speakers(seed=seed).split(rows)
        assert len({parts[row.id] for row in rows if row.speaker in ("s3", "s7", "s8")}) == 1


def test_random_folds_keep_identical_audio_in_one_part() -> None:
    rows = [*corpus(), *(Utt(f"copy{i}", f"s{i}", f"d{i}_0", "a") for i in range(10))]
    for fold in range(5):
        parts = RandomKFold(fold=fold).split(rows)
        assert all(parts[f"copy{i}"] == parts[f"s{i}_0"] for i in range(10))


def test_sessions_stay_together_when_asked() -> None:
    rows = [Utt(row.id, row.speaker, row.digest, row.label, f"x{int(row.speaker[1:]) // 2}") for row in corpus()]
    for splitter in (Speakers(validation=1, test=1, by="session"), KFold(by="session", fold=3)):
        parts = splitter.split(rows)
        proof = prove(rows, parts, speaker_dependent=False)
        assert not any(proof.shared_sessions.values())
        assert len(proof.speakers["test"]) == 2
    shared = prove(rows, Lists(validation=["s0"], test=["s1"]).split(rows), speaker_dependent=False)
    assert shared.shared_sessions["validation+test"] == ["x0"]
    with pytest.raises(UserError, match="have no session"):
        Speakers(by="session").split(corpus())


def test_random_folds_are_stratified() -> None:
    rows = [Utt(f"u{i}", f"s{i % 7}", f"d{i}", "rare" if i % 10 == 0 else "common") for i in range(100)]
    for fold in range(5):
        parts = RandomKFold(fold=fold).split(rows)
        assert sum(parts[row.id] == "test" and row.label == "rare" for row in rows) == 2


def test_a_validation_part_of_one_class_is_fatal_and_a_lacking_one_labelled() -> None:
    rows = [*corpus(), *(Utt(f"{name}_{label}", name, f"{name}{label}", label) for name, label in
                         (("one", "a"), ("t", "a"), ("t", "b"), ("t", "c"), ("s9", "c")))]  # fmt: skip
    with pytest.raises(LeakError, match="validation holds only a"):
        prove(rows, Lists(validation=["one"], test=["t"]).split(rows), speaker_dependent=False)
    proof = prove(rows, Lists(validation=["s1"], test=["t"]).split(rows), speaker_dependent=False)
    assert proof.labels == ["validation lacks c"]


def test_a_leak_is_fatal_and_named() -> None:
    rows = corpus()
    parts = Speakers().split(rows)
    with pytest.raises(LeakError, match=r"speakers stand in two parts.*s0"):
        prove(rows, parts | {"s0_0": "train", "s0_1": "test"}, speaker_dependent=False)
    copied = [*rows, Utt("copy", "new", "d0_0", "a")]
    parts = Lists(validation=["s1"], test=["s0"]).split(copied)
    with pytest.raises(LeakError, match=r"recordings stand in two parts.*d0_0"):
        prove(copied, parts, speaker_dependent=False)


def test_a_part_without_utterances_and_a_class_never_trained_are_fatal() -> None:
    rows = corpus()
    with pytest.raises(LeakError, match="no utterance in validation"):
        prove(rows, Lists(test=["s1"]).split(rows), speaker_dependent=False)
    rare = [*rows, Utt("rare", "s1", "r", "rare")]
    with pytest.raises(LeakError, match="no training utterance of rare"):
        prove(rare, Lists(validation=["s2"], test=["s1"]).split(rare), speaker_dependent=False)


@pytest.mark.parametrize(
    ("splitter", "says"),
    [
        (Speakers(test=0), "split.test=0"),
        (Speakers(test=10), "split.test=10"),
        (Speakers(validation=8), "split.validation=8"),
        (KFold(k=2), "split.k=2"),
        (KFold(k=11), "split.k=11"),
        (KFold(fold=5), "split.fold=5"),
        (KFold(fold=-1), "split.fold=-1"),
        (Lists(test=["nobody"]), "no speaker nobody"),
        (Lists(validation=["s1"], test=["s1"]), "s1 stands in validation and in test"),
    ],
)
def test_impossible_splits_are_refused(splitter: Splitter, says: str) -> None:
    with pytest.raises(UserError, match=says):
        splitter.split(corpus())
