"""SAVEE's two layouts, built in full: 15 files a class and speaker, 30 neutral ones."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.scan import scan
from ser_lightning.corpora.utterance import Entry

Make = Callable[..., Any]
CODES = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
NAMES = [(s, f"{code}{i:02}") for s in ("DC", "JE", "JK", "KL") for code, n in CODES.items() for i in range(1, n + 1)]


@pytest.mark.parametrize("pattern", ["AudioData/{}/{}.wav", "ALL/{}_{}.wav"])
def test_both_layouts_give_the_same_480_utterances(configured: Make, tmp_path: Path, pattern: str) -> None:
    for speaker, name in NAMES:
        path = tmp_path / pattern.format(speaker, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    entries = [entry for entry in configured("savee", root=str(tmp_path)).entries() if isinstance(entry, Entry)]
    assert {entry.id for entry in entries} == {f"{speaker}_{name}" for speaker, name in NAMES}
    assert Counter(entry.speaker for entry in entries) == dict.fromkeys(("DC", "JE", "JK", "KL"), 120)
    counts = Counter(entry.label for entry in entries)
    assert counts.pop("neutral") == 120
    assert set(counts.values()) == {60}


def test_scanned(configured: Make, wav: Callable[..., Path], tmp_path: Path) -> None:
    for number, code in enumerate(CODES):
        wav(tmp_path / f"AudioData/JK/{code}01.wav", number)
    corpus = scan(configured("savee", root=str(tmp_path)), tmp_path / "cache")
    corpus.check()
    assert {u.id: u.label for u in corpus.utterances}["JK_su01"] == "surprise"


@pytest.mark.parametrize("name", ["DC/x01", "XX/a01", "a01", "DC/a1", "DC_sad01"])
def test_other_names_are_misnamed(configured: Make, tmp_path: Path, name: str) -> None:
    path = tmp_path / f"{name}.wav"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    (problem,) = configured("savee", root=str(tmp_path)).entries()
    assert problem.kind == "misnamed"
