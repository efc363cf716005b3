"""Leave-one-out: each tests once, each validates equally often, sessions keep their speakers."""

from collections import Counter
from dataclasses import dataclass, replace

import pytest

from ser_lightning.data.leave_out import LeaveSessionOut, LeaveSpeakerOut
from ser_lightning.data.proof import prove
from ser_lightning.data.splits import KFold, Splitter
from ser_lightning.errors import UserError


@dataclass(frozen=True)
class Utt:
    id: str
    speaker: str
    session: str
    label: str
    digest: str


def corpus() -> list[Utt]:
    """Six speakers, two a session; sessions in another order than their speakers."""
    sessions = dict(zip("abcdef", ("z", "z", "x", "x", "y", "y"), strict=True))
    return [Utt(f"{s}{i}", s, sessions[s], "uv"[i % 2], f"{s}{i}") for s in "fedcba" for i in range(4)]


def held(rows: list[Utt], splitter: Splitter, part: str) -> set[str]:
    parts = splitter.split(rows)
    prove(rows, parts, splitter.speaker_dependent)
    return {row.speaker for row in rows if parts[row.id] == part}


def test_fold_k_tests_the_kth_speaker_by_name() -> None:
    for fold, name in enumerate("abcdef"):
        assert held(corpus(), LeaveSpeakerOut(fold=fold), "test") == {name}


@pytest.mark.parametrize(("validation", "seed"), [(1, 0), (2, 0), (2, 7), (4, 1)])
def test_every_speaker_validates_equally_often(validation: int, seed: int) -> None:
    folds = [LeaveSpeakerOut(fold=fold, validation=validation, seed=seed) for fold in range(6)]
    counts = Counter(name for fold in folds for name in held(corpus(), fold, "validation"))
    assert counts == dict.fromkeys("abcdef", validation)


def test_who_validates_depends_on_the_seed_and_who_tests_does_not() -> None:
    folds = [LeaveSpeakerOut(fold=2, seed=seed) for seed in range(8)]
    assert {frozenset(held(corpus(), fold, "test")) for fold in folds} == {frozenset("c")}
    assert len({frozenset(held(corpus(), fold, "validation")) for fold in folds}) > 1


def test_fold_k_tests_the_kth_session_by_name_with_all_its_speakers() -> None:
    for fold, speakers in enumerate(("cd", "ef", "ab")):
        splitter = LeaveSessionOut(fold=fold)
        assert held(corpus(), splitter, "test") == set(speakers)
        assert held(corpus(), splitter, "validation") in [set(pair) for pair in ("ab", "cd", "ef")]
        assert not any(prove(corpus(), splitter.split(corpus()), False).shared_sessions.values())


def test_speakers_that_share_a_recording_leave_together() -> None:
    rows = [*corpus(), Utt("copy", "d", "x", "u", "b0")]
    assert held(rows, LeaveSpeakerOut(fold=1), "test") == {"b", "d"}
    assert held(rows, LeaveSpeakerOut(fold=2), "test") == {"c"}


@pytest.mark.parametrize(
    ("splitter", "says"),
    [
        (LeaveSpeakerOut(fold=6), "split.fold=6: there are 6 speakers"),
        (LeaveSpeakerOut(fold=-1), "split.fold=-1"),
        (LeaveSpeakerOut(validation=0), "split.validation=0"),
        (LeaveSpeakerOut(validation=5), "split.validation=5"),
        (LeaveSessionOut(fold=3), "split.fold=3: there are 3 sessions"),
        (LeaveSessionOut(validation=2), "split.validation=2"),
    ],
)
def test_impossible_ones_are_refused(splitter: Splitter, says: str) -> None:
    with pytest.raises(UserError, match=says):
        splitter.split(corpus())


def test_a_corpus_without_sessions_is_told_what_to_write_instead() -> None:
    rows = [replace(row, session="") for row in corpus()]
    for asked in (LeaveSessionOut().split, LeaveSessionOut().folds):
        with pytest.raises(UserError, match=r"^split=leave_session_out: .* have no session; use split=loso$"):
            asked(rows)
    with pytest.raises(UserError, match=r"^split\.by=session: .* have no session; use split\.by=speaker$"):
        KFold(k=3, by="session").split(rows)
