"""Filling the store: only what is missing, one read a file, nothing wrong is kept."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch

from ser_lightning.errors import UserError
from ser_lightning.features import audio, extract
from ser_lightning.features.extract import fill
from ser_lightning.features.extractor import Extractor, extractor_key
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore

Items = list[tuple[str, Path]]
Reads = list[tuple[str, int]]


@dataclass(frozen=True)
class Samples:
    """Every sample is a frame of one feature."""

    name: ClassVar[str] = "samples"
    version: ClassVar[int] = 1
    sample_rate: int = 16000
    dim: ClassVar[int] = 1
    hop_seconds: ClassVar[float] = 1 / 16000

    @property
    def parameters(self) -> dict[str, int | float | str | bool]:
        return asdict(self)

    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        return waveform[:, None]


@pytest.fixture
def items(tmp_path: Path) -> Items:
    """Five files of 0.1 s; the samples of file n are n / 8."""
    paths = [tmp_path / f"{n}.wav" for n in range(5)]
    for n, path in enumerate(paths):
        soundfile.write(path, np.full(1600, n / 8), 16000)
    return [(f"{n:064x}", path) for n, path in enumerate(paths)]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """(file name, sample rate) of every file read."""
    seen: Reads = []
    original = audio.read_audio

    def recorded(path: Path, sample_rate: int) -> torch.Tensor:
        seen.append((path.name, sample_rate))
        return original(path, sample_rate)

    monkeypatch.setattr(audio, "read_audio", recorded)
    return seen


def test_only_the_missing_is_computed(store: FeatureStore, items: Items, reads: Reads) -> None:
    assert fill(store, {"x": Samples()}, items[:2]) == {"x": 2}
    assert fill(store, {"x": Samples()}, items) == {"x": 3}
    assert fill(store, {"x": Samples()}, items) == {"x": 0}
    assert [name for name, _ in reads] == ["0.wav", "1.wav", "2.wav", "3.wav", "4.wav"]
    reader = store.reader(Samples())
    for n, (digest, _) in enumerate(items):
        assert torch.equal(reader[digest], torch.full((1600, 1), n / 8))


def test_one_read_serves_all_streams_of_a_rate(store: FeatureStore, items: Items, reads: Reads) -> None:
    streams: dict[str, Extractor] = {
        "mfcc": MFCC(),
        "fine": LogMel(),
        "coarse": LogMel(n_fft=1024, hop=512),
        "narrow": Samples(sample_rate=8000),
    }
    assert fill(store, streams, items[:1]) == {"mfcc": 1, "fine": 1, "coarse": 1, "narrow": 1}
    assert sorted(reads) == [("0.wav", 8000), ("0.wav", 16000)]
    lengths = {stream: store.reader(streams[stream]).frames(items[0][0]) for stream in streams}
    assert lengths == {"mfcc": 8, "fine": 7, "coarse": 4, "narrow": 800}


def test_a_new_stream_does_not_recompute_the_others(store: FeatureStore, items: Items) -> None:
    fill(store, {"x": Samples()}, items[:3])
    assert fill(store, {"x": Samples(), "mfcc": MFCC()}, items[:4]) == {"x": 1, "mfcc": 4}
    # A segment of x holds one sample a frame: 3 utterances of 1600 float32, then 1, besides the headers.
    segments = (store.folder / extractor_key(Samples())).glob("*.safetensors")
    assert sorted(path.stat().st_size // 6400 for path in segments) == [1, 3]


def test_a_digest_that_comes_twice_is_computed_once(store: FeatureStore, items: Items, reads: Reads) -> None:
    twice = [items[1], items[1]]
    assert fill(store, {"x": Samples()}, twice) == {"x": 1}
    assert len(reads) == 1


def test_interruption_keeps_what_was_flushed(
    store: FeatureStore, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    items[4][1].write_bytes(b"")
    with pytest.raises(UserError, match=r"4\.wav"):
        fill(store, {"x": Samples()}, items)
    assert store.missing(Samples(), [digest for digest, _ in items]) == [items[4][0]]


def test_segments_pack_many_utterances(store: FeatureStore, items: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    fill(store, {"x": Samples()}, items)
    assert len(list((store.folder / extractor_key(Samples())).glob("*.safetensors"))) == 3


def test_features_that_are_not_finite_are_refused(store: FeatureStore, items: Items) -> None:
    samples = np.zeros(1600, dtype=np.float32)
    samples[700] = np.nan
    soundfile.write(items[2][1], samples, 16000, subtype="FLOAT")
    for extractor in (Samples(), MFCC(), LogMel()):
        with pytest.raises(UserError, match=rf"2\.wav: {extractor.name} features are not finite"):
            fill(store, {"x": extractor}, items)
        assert store.missing(extractor, [items[2][0]]) == [items[2][0]]


def test_an_utterance_that_is_too_short_is_named(store: FeatureStore, items: Items) -> None:
    soundfile.write(items[3][1], np.zeros(399), 16000)
    with pytest.raises(UserError, match=r"3\.wav: mfcc: 399 samples.*400 samples"):
        fill(store, {"mfcc": MFCC()}, items)
