"""Small and unequal parts are said, with what suits; a corpus is never refused for the sake of a split."""

from pathlib import Path

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.proof import Proof
from ser_lightning.runs.corpus import inspect_corpus
from ser_lightning.runs.doubts import doubts
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.train import train

SPLIT = {"name": "speakers", "stratify": False}
EVEN = "split=kfold split.stratify=true suits small or unequal corpora"


def proof(speakers: int = 10, **classes: dict[str, int]) -> Proof:
    """Of utterances by part and class; one speaker validates, one tests."""
    names = [f"s{i}" for i in range(speakers)]
    held = {"train": names[2:], "validation": names[:1], "test": names[1:2]}
    sums = {part: sum(counts.values()) for part, counts in classes.items()}
    return Proof(False, sums, held, classes, {}, {}, {})


def test_parts_under_a_twentieth_and_parts_that_lack_a_class_are_named_with_what_suits() -> None:
    large = proof(train={"a": 45, "b": 45}, validation={"a": 3, "b": 2}, test={"a": 3, "b": 2})
    assert doubts({0: large}, 1, SPLIT) == []
    small = proof(train={"a": 300, "b": 50}, validation={"a": 6}, test={"a": 20, "b": 24})
    assert doubts({0: small}, 1, SPLIT) == [
        f"validation has 6 of 400 utterances (1.5 %), under 5 %: so few choose an epoch by chance; {EVEN}",
        f"validation lacks b: its UAR is over the other classes alone; {EVEN}",
    ]
    tested = proof(train={"a": 90, "b": 90}, validation={"a": 5, "b": 5}, test={"b": 9})
    assert doubts({0: tested}, 1, SPLIT) == [
        f"test has 9 of 199 utterances (4.5 %), under 5 %: a score on so few says little; {EVEN}",
        f"test lacks a: its UAR is over the other classes alone; {EVEN}",
    ]
    assert doubts({0: tested}, 5, SPLIT) == [], "of a cross-validation the test parts are pooled"


def test_of_several_folds_the_worst_is_told() -> None:
    good = proof(train={"a": 40, "b": 40}, validation={"a": 9, "b": 9}, test={"a": 1, "b": 1})
    bad = proof(train={"a": 97, "b": 98}, validation={"a": 2, "b": 1}, test={"a": 1, "b": 1})
    worse = proof(train={"a": 97, "b": 100}, validation={"a": 1}, test={"a": 1, "b": 1})
    said = doubts({1: good, 2: bad, 3: worse}, 3, SPLIT)
    assert said[0].startswith("validation of folds 2, 3 has 1 of 200 utterances (0.5 %), under 5 %")
    assert said[1].startswith("validation of fold 3 lacks b")
    assert len(said) == 2


@pytest.mark.parametrize(
    ("speakers", "split", "advice"),
    [
        (4, SPLIT, "split=kfold split.k=4 split.stratify=true suits"),
        (2, SPLIT, "no split of so few speakers"),
        (9, {"name": "kfold", "stratify": False}, EVEN),
        (9, {"name": "kfold", "stratify": True}, "fewer folds (split.k) or more speakers"),
        (9, {"name": "loso"}, EVEN),
    ],
)
def test_what_is_named_can_be_had(speakers: int, split: dict[str, object], advice: str) -> None:
    lacking = proof(speakers, train={"a": 20, "b": 20}, validation={"a": 9}, test={"a": 9, "b": 9})
    (said,) = doubts({0: lacking}, 5, split)
    assert advice in said


def test_a_training_warns_and_ser_corpus_too(
    tiny: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = compose([*tiny, "training.max_epochs=1", "pictures=false"]).config
    inspect_corpus(config)
    assert "warning" not in said(capsys)
    monkeypatch.setattr("ser_lightning.runs.doubts.SHARE", 0.2)
    for look in (inspect_corpus, train):
        look(config)
        told = said(capsys)
        for part in ("validation", "test"):
            assert f"warning: {part} has 6 of 36 utterances (16.7 %), under 20 %" in told
        assert EVEN in told
    plan_of = plan(prepare(compose([*tiny[:4], *tiny[6:], "split=kfold", "split.k=3"]).config), Settings())
    assert doubts({task.fold: task.proof for task in plan_of.tasks}, 3, SPLIT) == []


def test_a_split_that_cannot_be_made_is_no_fault_of_the_corpus(
    tiny: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = [word for word in tiny if not word.startswith("split.")]
    for split in (["split=speakers", "split.test=6"], ["split=file", f"split.file={tmp_path / 'none.csv'}"]):
        corpus = inspect_corpus(compose([*words, *split]).config)
        assert len(corpus.utterances) == 36
        assert "cannot be made, which training would refuse: split." in said(capsys)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    found = capsys.readouterr()
    return " ".join((found.out + found.err).split())
