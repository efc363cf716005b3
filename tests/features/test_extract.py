"""Filling the store: only what is missing, one read a file, nothing wrong is kept."""

import os
import signal
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import soundfile
import torch

from ser_lightning.corpora.audio import look
from ser_lightning.errors import ConfigError, StoppedError, UserError
from ser_lightning.features import audio, extract, filler
from ser_lightning.features.extract import fill
from ser_lightning.features.extractor import Extractor, extractor_key
from ser_lightning.features.log_mel import LogMel
from ser_lightning.features.mfcc import MFCC
from ser_lightning.features.store import FeatureStore
from ser_lightning.processes.signals import stopping
from ser_lightning.threads import threads

Items = list[tuple[str, Path]]
Reads = list[tuple[str, list[int]]]


@dataclass(frozen=True)
class Samples:
    """Every sample is a frame of one feature."""

    name: ClassVar[str] = "samples"
    version: ClassVar[int] = 1
    spectrogram: ClassVar[bool] = False
    sample_rate: int = 16000
    dim: ClassVar[int] = 1
    hop_seconds: ClassVar[float] = 1 / 16000

    @property
    def parameters(self) -> dict[str, int | float | str | bool]:
        return asdict(self)

    def extract(self, waveform: torch.Tensor) -> torch.Tensor:
        return waveform[:, None]


def scanned(paths: Iterable[Path]) -> Items:
    return [(look(path).digest, path) for path in paths]


@pytest.fixture
def items(tmp_path: Path) -> Items:
    """Five files of 0.1 s; the samples of file n are n / 8."""
    paths = [tmp_path / f"{n}.wav" for n in range(5)]
    for n, path in enumerate(paths):
        soundfile.write(path, np.full(1600, n / 8), 16000)
    return scanned(paths)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """(file name, sample rates) of every file read."""
    seen: Reads = []
    original = audio.read_audio

    def recorded(path: Path, digest: str, sample_rates: Iterable[int]) -> dict[int, torch.Tensor]:
        seen.append((path.name, sorted(sample_rates)))
        return original(path, digest, sample_rates)

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


def test_one_read_serves_all_streams(store: FeatureStore, items: Items, reads: Reads) -> None:
    streams: dict[str, Extractor] = {
        "mfcc": MFCC(),
        "fine": LogMel(),
        "coarse": LogMel(n_fft=1024, hop=512),
        "narrow": Samples(sample_rate=8000),
    }
    assert fill(store, streams, items[:1]) == {"mfcc": 1, "fine": 1, "coarse": 1, "narrow": 1}
    assert reads == [("0.wav", [8000, 16000])]
    lengths = {stream: store.reader(streams[stream]).frames(items[0][0]) for stream in streams}
    assert lengths == {"mfcc": 8, "fine": 7, "coarse": 4, "narrow": 800}


def test_numbers_do_not_depend_on_the_caller_s_threads(tmp_path: Path) -> None:
    """On some processors two threads round a sum otherwise than one."""
    noise = np.random.default_rng(0).normal(0, 0.1, 16000 * 5)
    soundfile.write(tmp_path / "noise.wav", noise, 16000)
    items = scanned([tmp_path / "noise.wav"])
    streams: dict[str, Extractor] = {"mfcc": MFCC(), "fine": LogMel(), "coarse": LogMel(n_fft=2048, hop=512)}
    found = []
    for count in (1, 2, 3, 4):
        own = FeatureStore(tmp_path / f"store{count}")
        with threads(count):
            fill(own, streams, items)
            assert torch.get_num_threads() == count
        found.append({name: own.reader(stream)[items[0][0]] for name, stream in streams.items()})
    for other in found[1:]:
        for name, features in found[0].items():
            assert torch.equal(features, other[name]), name


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
    original = audio.read_audio

    def interrupted(path: Path, digest: str, sample_rates: Iterable[int]) -> dict[int, torch.Tensor]:
        if path.name == "4.wav":
            raise KeyboardInterrupt
        return original(path, digest, sample_rates)

    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    monkeypatch.setattr(audio, "read_audio", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fill(store, {"x": Samples()}, items)
    assert store.missing(Samples(), [digest for digest, _ in items]) == [items[4][0]]


@pytest.mark.parametrize(("file", "progressed"), [("1.wav", False), ("4.wav", True)])
def test_a_stop_in_a_file_is_no_fault_of_the_file_and_says_whether_a_segment_is_kept(
    store: FeatureStore, items: Items, monkeypatch: pytest.MonkeyPatch, file: str, progressed: bool
) -> None:
    original = audio.read_audio

    def warned(path: Path, digest: str, sample_rates: Iterable[int]) -> dict[int, torch.Tensor]:
        if path.name == file:
            os.kill(os.getpid(), signal.SIGUSR1)
        return original(path, digest, sample_rates)

    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    monkeypatch.setattr(audio, "read_audio", warned)
    with pytest.raises(StoppedError, match="SIGUSR1") as caught, stopping():
        fill(store, {"x": Samples()}, items)
    assert caught.value.progressed == progressed


def test_segments_pack_many_utterances(store: FeatureStore, items: Items, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    fill(store, {"x": Samples()}, items)
    assert len(list((store.folder / extractor_key(Samples())).glob("*.safetensors"))) == 3


def test_long_utterances_make_smaller_segments(
    store: FeatureStore, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each utterance is 1600 float32: the second one reaches 12,000 bytes.
    monkeypatch.setattr(filler, "SEGMENT_BYTES", 12_000)
    fill(store, {"x": Samples()}, items)
    sizes = [path.stat().st_size // 6400 for path in (store.folder / extractor_key(Samples())).glob("*.safetensors")]
    assert sorted(sizes) == [1, 2, 2]
    assert store.missing(Samples(), [digest for digest, _ in items]) == []


def test_a_file_that_changed_after_the_scan_poisons_nothing(store: FeatureStore, items: Items) -> None:
    before = items[2][1].read_bytes()
    soundfile.write(items[2][1], np.full(1600, 0.9), 16000)
    with pytest.raises(UserError, match=r"2\.wav: the audio file changed since it was scanned; start again"):
        fill(store, {"x": Samples()}, items)
    assert store.missing(Samples(), [digest for digest, _ in items]) == [items[2][0]]
    items[2][1].write_bytes(before)
    assert fill(store, {"x": Samples()}, items) == {"x": 1}
    assert torch.equal(store.reader(Samples())[items[2][0]], torch.full((1600, 1), 2 / 8))


def test_features_that_are_not_finite_are_refused(store: FeatureStore, items: Items) -> None:
    samples = np.zeros(1600)
    samples[700] = 1e30  # its square is beyond float32
    soundfile.write(items[2][1], samples, 16000, subtype="FLOAT")
    items = scanned(path for _, path in items)
    for extractor in (MFCC(), LogMel()):
        with pytest.raises(UserError, match=rf"2\.wav: {extractor.name} features are not finite"):
            fill(store, {"x": extractor}, items)
        assert store.missing(extractor, [digest for digest, _ in items]) == [items[2][0]]


def test_all_bad_files_are_told_at_the_end_and_the_good_are_kept(store: FeatureStore, items: Items) -> None:
    """300 samples are a frame of log_mel but none of mfcc, 200 are none of either."""
    soundfile.write(items[0][1], np.full(300, 0.5), 16000)
    soundfile.write(items[1][1], np.full(200, 0.5), 16000)
    items = scanned(path for _, path in items)
    items[3][1].write_bytes(b"")
    streams: dict[str, Extractor] = {"mfcc": MFCC(), "mel": LogMel()}
    with pytest.raises(UserError) as caught:
        fill(store, streams, items)
    head, *lines = str(caught.value).splitlines()
    assert "3 of the 5 audio files" in head
    assert [Path(line.strip().split(":")[0]).name for line in lines] == ["0.wav", "1.wav", "3.wav"]
    assert "mfcc: 300 samples" in lines[0] and "400 samples" in lines[0] and "log_mel" not in lines[0]
    assert "mfcc: 200 samples" in lines[1] and "log_mel: 200 samples" in lines[1]
    digests = [digest for digest, _ in items]
    assert store.missing(MFCC(), digests) == [digests[0], digests[1], digests[3]]
    assert store.missing(LogMel(), digests) == [digests[1], digests[3]]


@pytest.mark.parametrize(("bad", "last"), [(20, "19.wav"), (23, "... and 3 more")])
def test_twenty_bad_files_are_named_and_more_are_counted(
    tmp_path: Path, store: FeatureStore, bad: int, last: str
) -> None:
    paths = [tmp_path / f"{n}.wav" for n in range(bad)]
    for n, path in enumerate(paths):
        soundfile.write(path, np.full(100 + n, 0.5), 16000)
    with pytest.raises(UserError) as caught:
        fill(store, {"mfcc": MFCC()}, scanned(paths))
    head, *lines = str(caught.value).splitlines()
    assert f"{bad} of the {bad} audio files" in head
    assert sum("400 samples" in line for line in lines) == 20
    assert last in lines[-1]


def test_a_store_that_cannot_be_written_ends_it_at_once(
    store: FeatureStore, items: Items, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 2)
    store.folder.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write"):
        fill(store, {"x": Samples()}, items)
    assert len(reads) == 2


def test_parameters_that_suit_no_file_end_it_at_once(
    store: FeatureStore, items: Items, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "SEGMENT_UTTERANCES", 1)
    with pytest.raises(ConfigError, match="lower n_mels"):
        fill(store, {"mel": LogMel(n_mels=300)}, items)
    assert len(reads) == 1
