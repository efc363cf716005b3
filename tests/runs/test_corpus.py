"""What `ser corpus` and every verb that uses a corpus find in its files before they are used."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.corpora.audio import look
from ser_lightning.corpora.cache import AudioCache
from ser_lightning.corpora.corpus import CorpusError
from ser_lightning.features.extract import BadAudioError
from ser_lightning.runs.prepare import prepare

RATE = 16_000
REST = {"four": 4000, "five": 4000, "six": 4000}


def corpus(folder: Path, **lengths: int) -> list[str]:
    """Words for a table of noises of so many samples; two classes, a speaker for each two."""
    rng = np.random.default_rng(0)
    rows = ["path,label,speaker"]
    for number, (name, length) in enumerate(lengths.items()):
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, length), RATE)
        rows.append(f"{name}.wav,{'ab'[number % 2]},s{number // 2}")
    (folder / "t.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    words = ["corpus=table", f"corpus.root={folder / 't.csv'}", "corpus.classes=[a,b]", f"cache_dir={folder / 'cache'}"]
    return [*words, f"runs_dir={folder / 'runs'}", "tracking.mode=off", "split.validation=1", "split.test=1"]


@pytest.mark.parametrize(
    ("model", "shortest", "stream"),
    [("mfcc_lstm", 400, "`mfcc`: mfcc"), ("ds_lstm", 513, "`coarse`: log_mel")],
)
def test_files_too_short_for_a_stream_are_found_before_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], model: str, shortest: int, stream: str
) -> None:
    words = [*corpus(tmp_path, one=4000, two=shortest, three=shortest - 1, **REST), f"model={model}"]
    assert main(["corpus", *words]) == 0
    told = f"{tmp_path / 'three.wav'}: stream {stream}: {shortest - 1} samples "
    shown = capsys.readouterr().out
    assert " short\n" in shown and told in shown and "one.wav" not in shown
    assert main(["train", *words]) == 1
    refused = capsys.readouterr().err
    assert told in refused and "two.wav" not in refused
    assert not (tmp_path / "cache/features").exists()


def test_a_stream_that_the_model_does_not_read_may_be_short_of_frames(tmp_path: Path) -> None:
    words = [*corpus(tmp_path, one=4000, two=450, three=4000, **REST), "model=mfcc_lstm", "model.hidden_dim=4"]
    assert main(["train", *words, "training.max_epochs=1"]) == 0


def test_the_length_counts_at_the_rate_of_the_stream(tmp_path: Path) -> None:
    words = [*corpus(tmp_path, one=4000, two=4000), "model=mfcc_lstm"]
    soundfile.write(tmp_path / "two.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 1197), 3 * RATE)
    prepared = prepare(compose(words).config)
    with pytest.raises(CorpusError, match=r"two\.wav: stream `mfcc`: mfcc: 399 samples"):
        prepared.fill(["mfcc"], prepared.corpus.utterances)
    soundfile.write(tmp_path / "two.wav", np.random.default_rng(1).uniform(-0.5, 0.5, 1200), 3 * RATE)
    prepared = prepare(compose(words).config)
    assert prepared.fill(["mfcc"], prepared.corpus.utterances) == {"mfcc": 2}


def test_lengths_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", *corpus(tmp_path, one=4000, two=8000, three=32_000)]) == 0
    assert "lengths: shortest 0.250 s, median 0.500 s, longest 2.000 s, total 2.8 s" in capsys.readouterr().out


def test_a_codec_that_fails_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise ValueError("frames must be specified")

    words = corpus(tmp_path, one=4000, two=4000)
    monkeypatch.setattr(soundfile.SoundFile, "read", fails)
    assert main(["corpus", *words]) == 1
    assert f"{tmp_path / 'two.wav'}: ValueError: frames must be specified" in capsys.readouterr().out


def changed(path: Path) -> None:
    """Other audio of the same size and time of change."""
    before = path.stat()
    soundfile.write(path, np.random.default_rng(7).uniform(-0.5, 0.5, soundfile.info(path).frames), RATE)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def digests(words: Sequence[str]) -> list[str]:
    return [utterance.digest for utterance in prepare(compose(list(words)).config).corpus.utterances]


def test_content_that_changed_under_equal_size_and_time_is_scanned_again(tmp_path: Path) -> None:
    words = [*corpus(tmp_path, one=4000, two=4000), "model=mfcc_lstm"]
    first = digests(words)
    changed(tmp_path / "two.wav")
    prepared = prepare(compose(words).config)
    assert [u.digest for u in prepared.corpus.utterances] == [first[0], look(tmp_path / "two.wav").digest] != first
    assert prepared.fill(["mfcc"], prepared.corpus.utterances) == {"mfcc": 2}


def test_where_no_time_tells_the_next_start_scans_it_again(tmp_path: Path) -> None:
    """A storage without times of change is one on which the cache takes the file for what it was."""
    words = [*corpus(tmp_path, one=4000, two=4000), "model=mfcc_lstm"]
    two = tmp_path / "two.wav"
    digests(words)
    old = look(two)
    changed(two)
    cache = AudioCache(tmp_path / "cache")
    cache.put(two, two.stat(), old)
    cache.save()
    prepared = prepare(compose(words).config)
    assert prepared.corpus.utterances[1].digest == old.digest
    with pytest.raises(BadAudioError, match=r"two\.wav: the audio file changed since it was scanned; start again"):
        prepared.fill(["mfcc"], prepared.corpus.utterances)
    again = prepare(compose(words).config)
    assert again.corpus.utterances[1].digest == look(two).digest != old.digest
    assert again.fill(["mfcc"], again.corpus.utterances) == {"mfcc": 1}
