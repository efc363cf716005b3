"""CREMA-D's names, and a checkout without its audio."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.scan import CorpusError, scan
from ser_lightning.corpora.utterance import Entry

Make = Callable[..., Any]
Write = Callable[..., Path]
EMOTIONS = {"ANG": "anger", "DIS": "disgust", "FEA": "fear", "HAP": "happiness", "NEU": "neutral", "SAD": "sadness"}


def test_names(configured: Make, tmp_path: Path) -> None:
    (tmp_path / "AudioWAV").mkdir()
    (tmp_path / "VideoFlash").mkdir()
    (tmp_path / "VideoFlash/stray.wav").touch()
    for actor in (1001, 1091):
        for code in EMOTIONS:
            for level in ("LO", "MD", "HI", "XX"):
                (tmp_path / f"AudioWAV/{actor}_IEO_{code}_{level}.wav").touch()
    entries = list(configured("cremad", root=str(tmp_path)).entries())
    assert len(entries) == 2 * 6 * 4
    assert Entry("1091_IEO_FEA_MD", tmp_path / "AudioWAV/1091_IEO_FEA_MD.wav", "1091", "", "fear", "IEO") in entries
    assert {entry.id.split("_")[2]: entry.label for entry in entries} == EMOTIONS
    assert entries == list(configured("cremad", root=str(tmp_path / "AudioWAV")).entries())


def test_the_file_that_was_renamed_has_one_id(configured: Make, tmp_path: Path) -> None:
    (tmp_path / "1040_ITH_SAD_X.wav").touch()
    (entry,) = configured("cremad", root=str(tmp_path)).entries()
    assert (entry.id, entry.speaker) == ("1040_ITH_SAD_XX", "1040")


@pytest.mark.parametrize(
    "name", ["1000_DFA_ANG_XX", "1092_DFA_ANG_XX", "1001_DFA_ANG", "1001_DFA_JOY_XX", "1001_DFA_ANG_VH", "a"]
)
def test_misnamed(configured: Make, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.wav").touch()
    (problem,) = configured("cremad", root=str(tmp_path)).entries()
    assert problem.kind == "misnamed" and problem.path.stem == name


def test_each_pointer_is_said_by_name(configured: Make, tmp_path: Path, wav: Write) -> None:
    wav(tmp_path / "AudioWAV/1001_DFA_ANG_XX.wav", 1)
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 72844\n"
    for name in ("1001_DFA_SAD_XX", "1002_DFA_SAD_XX"):
        (tmp_path / f"AudioWAV/{name}.wav").write_text(text)
    corpus = scan(configured("cremad", root=str(tmp_path), classes=["anger", "sadness"]), tmp_path / "cache")
    with pytest.raises(CorpusError) as caught:
        corpus.check()
    for name in ("1001_DFA_SAD_XX", "1002_DFA_SAD_XX"):
        assert f"{name}.wav: a git-lfs pointer, not audio; fetch the audio with `git lfs pull`" in str(caught.value)
    assert "1001_DFA_ANG_XX" not in str(caught.value)
