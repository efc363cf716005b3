"""EMO-DB against the counts of its README."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.corpus import CorpusError
from ser_lightning.corpora.scan import scan

Make = Callable[..., Any]
FOUR = ["anger", "happiness", "neutral", "sadness"]


def test_the_four_classes_that_are_there(real_speech: Path, configured: Make, tmp_path: Path) -> None:
    corpus = scan(configured("emodb", root=str(real_speech / "emodb"), classes=FOUR), tmp_path)
    corpus.check()
    assert corpus.problems == ()
    assert corpus.counts == {"anger": 127, "happiness": 71, "neutral": 79, "sadness": 62}
    speakers = Counter(utterance.speaker for utterance in corpus.utterances)
    names = ["03", "08", "09", "10", "11", "12", "13", "14", "15", "16"]
    assert speakers == dict(zip(names, [39, 42, 30, 21, 35, 22, 36, 41, 34, 39], strict=True))
    assert sum(utterance.seconds for utterance in corpus.utterances) / 3600 == pytest.approx(0.265, abs=5e-4)


def test_the_missing_classes_are_named(real_speech: Path, configured: Make, tmp_path: Path) -> None:
    corpus = scan(configured("emodb", root=str(real_speech / "emodb/wav")), tmp_path)
    assert len(corpus.utterances) == 339
    with pytest.raises(CorpusError, match="no file of class boredom, disgust, fear"):
        corpus.check()


def test_originals_of_every_letter_but_t(real_speech: Path, configured: Make, tmp_path: Path) -> None:
    corpus = scan(configured("emodb", root=str(real_speech / "originals/emodb")), tmp_path)
    assert corpus.missing_classes == ["sadness"]
    rows = {u.id: (u.speaker, u.label, u.text) for u in corpus.utterances}
    assert rows["03b10Ec"] == ("03", "disgust", "b10")
    assert rows["03a04Lc"] == ("03", "boredom", "a04")
    assert rows["03a04Ad"] == ("03", "fear", "a04")
    assert rows["16b10Wb"] == ("16", "anger", "b10")


@pytest.mark.parametrize("name", ["03a01F", "3a01Fa", "03c01Fa", "03a01fa", "03a01Fa (1)", "03a01Xa"])
def test_other_names_are_misnamed(configured: Make, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.wav").touch()
    (problem,) = configured("emodb", root=str(tmp_path)).entries()
    assert (problem.kind, problem.path.stem) == ("misnamed", name)
