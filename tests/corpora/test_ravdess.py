"""RAVDESS against its counts, and the quirks of the copies that go around."""

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.scan import scan
from ser_lightning.corpora.utterance import Problem

Make = Callable[..., Any]
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def corpus(real_speech: Path, configured: Make, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return scan(configured("ravdess", root=str(real_speech / "ravdess")), tmp_path_factory.mktemp("cache"))


def test_counts(corpus: Corpus) -> None:
    corpus.check()
    emotions = ["calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]
    assert corpus.counts == {"neutral": 96} | dict.fromkeys(emotions, 192)
    speakers = Counter(utterance.speaker for utterance in corpus.utterances)
    assert speakers == {f"{actor:02}": 60 for actor in range(1, 25)}
    assert sum(utterance.seconds for utterance in corpus.utterances) / 3600 == pytest.approx(1.480, abs=5e-4)


def test_the_identical_pair_is_a_warning(corpus: Corpus) -> None:
    (pair,) = [problem for problem in corpus.problems if problem.kind == "duplicate"]
    assert pair.path.stem == "03-01-03-01-02-01-07"
    assert "03-01-03-01-02-02-07" in pair.detail
    assert not pair.fatal


def test_the_quiet_files_are_warnings(corpus: Corpus) -> None:
    quiet = [problem for problem in corpus.problems if problem.kind == "near_silent"]
    # The README counts 12 at 48 kHz; in this copy, resampled to 16 kHz, 13 files peak below 0.01.
    actors = Counter(problem.path.parent.name for problem in quiet)
    assert actors == {"Actor_06": 1, "Actor_09": 4, "Actor_20": 8}
    assert not any(problem.fatal for problem in quiet)


def test_originals_with_two_channels_and_odd_chunks(real_speech: Path, configured: Make, tmp_path: Path) -> None:
    corpus = scan(configured("ravdess", root=str(real_speech / "originals/ravdess")), tmp_path)
    assert Counter((u.sample_rate, u.channels) for u in corpus.utterances) == {(48_000, 1): 4, (48_000, 2): 5}
    assert [problem.kind for problem in corpus.problems] == ["duplicate"]
    assert {u.id: u.seconds for u in corpus.utterances}["03-01-05-02-02-02-01"] == 213_013 / 48_000


def test_the_tree_in_itself_is_one_fatal_problem(real_speech: Path, configured: Make, tmp_path: Path) -> None:
    for actor in ("Actor_01", "Actor_05", "Actor_07"):
        shutil.copytree(real_speech / "originals/ravdess" / actor, tmp_path / actor)
        shutil.copytree(real_speech / "originals/ravdess" / actor, tmp_path / "audio_speech_actors_01-24" / actor)
    corpus = scan(configured("ravdess", root=str(tmp_path)), tmp_path / "cache")
    (twice,) = [problem for problem in corpus.problems if problem.fatal]
    assert (twice.kind, len(corpus.utterances)) == ("twice", 7)
    assert twice.path == tmp_path
    assert twice.detail.startswith(f"7 files are also in {tmp_path / 'audio_speech_actors_01-24'},")


def test_a_flat_copy_has_its_actors_from_the_names(configured: Make, tmp_path: Path) -> None:
    (tmp_path / "03-01-05-02-01-01-12.wav").touch()
    (entry,) = configured("ravdess", root=str(tmp_path)).entries()
    assert (entry.speaker, entry.label, entry.text) == ("12", "anger", "01")


def test_song_is_left_out_and_counted(configured: Make, tmp_path: Path, wav: Write) -> None:
    wav(tmp_path / "Actor_01/03-01-01-01-01-01-01.wav", 1)
    wav(tmp_path / "song/Actor_01/03-02-01-01-01-01-01.wav", 2)
    corpus = scan(configured("ravdess", root=str(tmp_path), classes=["neutral"]), tmp_path)
    assert [u.id for u in corpus.utterances] == ["03-01-01-01-01-01-01"]
    assert corpus.left_out == {"song": 1}
    assert corpus.problems == ()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("Actor_02/03-01-01-01-01-01-01", "the name says actor 01, the folder Actor_02"),
        ("Actor_01/01-01-01-01-01-01-01", "modality 01"),
        ("Actor_01/03-03-01-01-01-01-01", "vocal channel 03"),
        ("Actor_01/03-01-09-01-01-01-01", "emotion 09"),
        ("Actor_25/03-01-01-01-01-01-25", "no actor 25, only 01 to 24"),
        ("Actor_00/03-01-01-01-01-01-00", "no actor 00, only 01 to 24"),
        ("Actor_01/03-01-01-03-01-01-01", "not a RAVDESS name"),
        ("Actor_01/03-01-01-01-01-01", "not a RAVDESS name"),
    ],
)
def test_misnamed(configured: Make, tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / path).parent.mkdir()
    (tmp_path / f"{path}.wav").touch()
    (problem,) = configured("ravdess", root=str(tmp_path)).entries()
    assert isinstance(problem, Problem) and problem.kind == "misnamed" and why in problem.detail
