"""The cache must forget a file that changed, survive damage, and keep what others wrote."""

import os
from pathlib import Path

import pytest

from ser_lightning.corpora.audio import Audio
from ser_lightning.corpora.cache import AudioCache
from ser_lightning.corpora.levels import Levels

from ..waiting import until

AUDIO = Audio("ab" * 32, Levels(-0.5, 0.4, 0.0, 0.1, 1.0), 100, 16_000, 1)


def keep(folder: Path, path: Path) -> None:
    cache = AudioCache(folder)
    cache.put(path, path.stat(), AUDIO)
    cache.save()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    path.write_bytes(b"12345")
    keep(tmp_path / "cache", path)
    return path


def test_an_unchanged_file_is_known(tmp_path: Path, file: Path) -> None:
    assert AudioCache(tmp_path / "cache").get(file) == AUDIO


def test_another_size_at_the_same_time_is_unknown(tmp_path: Path, file: Path) -> None:
    time = file.stat().st_mtime_ns
    file.write_bytes(b"123456")
    os.utime(file, ns=(time, time))
    assert AudioCache(tmp_path / "cache").get(file) is None


def test_another_time_at_the_same_size_is_unknown(tmp_path: Path, file: Path) -> None:
    later = file.stat().st_mtime_ns + 1_000_000
    os.utime(file, ns=(later, later))
    assert AudioCache(tmp_path / "cache").get(file) is None


def test_other_content_at_the_same_size_and_time_is_unknown(tmp_path: Path, file: Path) -> None:
    time = file.stat().st_mtime_ns
    changed = file.stat().st_ctime_ns

    def rewritten() -> bool:
        file.write_bytes(b"54321")
        os.utime(file, ns=(time, time))
        return file.stat().st_ctime_ns != changed

    until(rewritten, "the clock of the file system going on")
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (5, time)
    assert AudioCache(tmp_path / "cache").get(file) is None


def test_what_is_forgotten_is_unknown_and_the_rest_is_kept(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "b.wav"
    other.write_bytes(b"1")
    keep(tmp_path / "cache", other)
    AudioCache(tmp_path / "cache").forget([file, tmp_path / "never.wav"])
    last = AudioCache(tmp_path / "cache")
    assert last.get(file) is None and last.get(other) == AUDIO


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b'{"version": 2, "files": {"/a": [1, 2]}}',
        b'{"version": 2, "files": {"/a": [1, 2, 3, "zz", [0.5, 1, 1, 1, 1], 1, 1, 1]}}',
        b'{"version": 2, "files": {"/a": [1, 2, 3, "00", [0.5, 1], 1, 1, 1]}}',
        b'{"version": 1, "files": {}}',
    ],
)
def test_a_damaged_cache_says_so_and_is_rebuilt(
    tmp_path: Path, file: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = tmp_path / "cache" / "audio_digests.json"
    stored.write_bytes(content)
    assert AudioCache(tmp_path / "cache").get(file) is None
    assert str(stored) in capsys.readouterr().err
    keep(tmp_path / "cache", file)
    assert AudioCache(tmp_path / "cache").get(file) == AUDIO
    assert capsys.readouterr().err == ""


def test_two_writers_keep_each_others_entries(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "b.wav"
    other.write_bytes(b"1")
    early = AudioCache(tmp_path / "cache")
    keep(tmp_path / "cache", other)
    early.put(file, file.stat(), AUDIO)
    early.save()
    last = AudioCache(tmp_path / "cache")
    assert last.get(file) == last.get(other) == AUDIO
