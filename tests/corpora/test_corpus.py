"""What a corpus that cannot be used says."""

from collections import Counter
from pathlib import Path

import pytest

from ser_lightning.corpora.corpus import Corpus, CorpusError
from ser_lightning.corpora.utterance import Problem, Utterance


def utterance(label: str) -> Utterance:
    return Utterance("a", Path("/a"), "00", "s", "", label, "", 1.0, 16_000, 1)


def test_many_problems_are_counted_and_some_are_listed() -> None:
    problems = tuple(Problem("broken", Path(f"/{i}"), "why") for i in range(31))
    corpus = Corpus(Path("/c"), (utterance("x"),), ("x",), (*problems, problems[0]), Counter())
    with pytest.raises(CorpusError) as caught:
        corpus.check()
    lines = str(caught.value).splitlines()
    assert sum("broken: /" in line for line in lines) == 20
    assert any("and 12 more" in line for line in lines)
    assert any("in all 32 broken" in line for line in lines)


def test_a_class_without_files_is_an_error_with_the_remedy() -> None:
    corpus = Corpus(Path("/c"), (utterance("x"), utterance("z")), ("x", "y", "z"), (), Counter())
    assert corpus.missing_classes == ["y"]
    assert corpus.counts == {"x": 1, "z": 1}
    with pytest.raises(CorpusError, match=r"no file of class y; set corpus\.classes=\[x,z\]"):
        corpus.check()
