"""Digests against the standard library's WAV reader, and every way a file can be broken."""

import hashlib
import os
import struct
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.audio import BrokenAudioError, look

Write = Callable[..., Path]


def reference(path: Path) -> tuple[str, float, int, int, int]:
    """Digest, peak of the mean over channels, frames, rate and channels of a 16-bit WAV, by the standard library."""
    with wave.open(str(path)) as source:
        rate, channels, frames = source.getframerate(), source.getnchannels(), source.getnframes()
        values = struct.unpack(f"<{frames * channels}h", source.readframes(frames))
    floats = [value / 32768 for value in values]
    digest = hashlib.sha256(f"{rate} {channels}\n".encode() + struct.pack(f"<{len(floats)}f", *floats))
    peak = max(abs(sum(floats[i : i + channels])) / channels for i in range(0, len(floats), channels))
    return digest.hexdigest(), peak, frames, rate, channels


def test_look_agrees_with_the_standard_library(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).uniform(-0.7, 0.7, (500, 2))
    soundfile.write(tmp_path / "a.wav", samples, 44_100, subtype="PCM_16")
    audio = look(tmp_path / "a.wav")
    digest, peak, *form = reference(tmp_path / "a.wav")
    assert (audio.digest, [audio.frames, audio.sample_rate, audio.channels]) == (digest, form)
    assert audio.levels.peak == pytest.approx(peak, rel=1e-6)


@pytest.mark.parametrize(
    ("flac", "original"),
    [("emodb/wav/03a01Wa.flac", "03a01Wa.wav"), ("emodb/wav/14a07Fd.flac", "14a07Fd.wav")],
)
def test_flac_and_the_original_wav_with_its_odd_chunks_agree(real_speech: Path, flac: str, original: str) -> None:
    untouched = look(real_speech / "originals/emodb/wav" / original)
    assert look(real_speech / flac) == untouched
    assert untouched.digest == reference(real_speech / "originals/emodb/wav" / original)[0]


def test_a_stereo_original_with_chunks_on_both_sides(real_speech: Path) -> None:
    path = real_speech / "originals/ravdess/Actor_01/03-01-02-01-01-02-01.wav"
    audio = look(path)
    assert (audio.digest, audio.frames, audio.sample_rate, audio.channels) == (
        reference(path)[0],
        172_972,
        48_000,
        2,
    )


def test_rate_and_channels_are_part_of_the_digest(tmp_path: Path) -> None:
    samples = np.linspace(-0.5, 0.5, 400)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    soundfile.write(tmp_path / "b.wav", samples, 8_000)
    soundfile.write(tmp_path / "c.wav", samples.reshape(200, 2), 16_000)
    assert len({look(tmp_path / name).digest for name in ("a.wav", "b.wav", "c.wav")}) == 3


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_file_cut_short_is_broken(tmp_path: Path, wav: Write, suffix: str) -> None:
    whole = wav(tmp_path / f"a.{suffix}", frames=8000).read_bytes()
    (tmp_path / f"b.{suffix}").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BrokenAudioError, match="cut short"):
        look(tmp_path / f"b.{suffix}")


def test_a_wav_written_to_a_pipe_is_whole(tmp_path: Path, wav: Write) -> None:
    content = bytearray(wav(tmp_path / "a.wav", frames=800).read_bytes())
    assert content[36:40] == b"data"
    content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "b.wav").write_bytes(content)
    assert look(tmp_path / "b.wav") == look(tmp_path / "a.wav")


def test_a_git_lfs_pointer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    with pytest.raises(BrokenAudioError, match="git lfs pull"):
        look(path)


def test_text_and_infinite_samples_are_broken(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("no audio at all, but long enough for a header to be looked for")
    soundfile.write(tmp_path / "b.wav", np.array([0.0, np.inf]), 16_000, subtype="FLOAT")
    with pytest.raises(BrokenAudioError, match="not recognised"):
        look(tmp_path / "a.wav")
    with pytest.raises(BrokenAudioError, match="not finite"):
        look(tmp_path / "b.wav")


def test_no_bytes_and_no_samples_are_no_frames(tmp_path: Path, wav: Write) -> None:
    (tmp_path / "a.wav").touch()
    assert look(tmp_path / "a.wav").frames == look(wav(tmp_path / "b.wav", frames=0)).frames == 0


def test_gsm_is_read_in_whole_blocks(tmp_path: Path) -> None:
    """320 samples a block of 65 bytes: 95 hold 30,372 samples, and libsndfile takes the padding byte for one more."""
    soundfile.write(tmp_path / "a.wav", np.zeros(30_372), 16_000, subtype="GSM610")
    assert look(tmp_path / "a.wav").frames == 96 * 320


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("frames must be specified"), "ValueError: frames must be specified"),
        (RuntimeError("no decoder"), "RuntimeError: no decoder"),
        (MemoryError(), "takes more memory than there is"),
        (AssertionError(), "AssertionError"),
    ],
)
def test_whatever_a_library_raises_says_that_the_file_is_broken(
    tmp_path: Path, wav: Write, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    path = wav(tmp_path / "a.wav")
    for name in ("read", "__init__"):
        with monkeypatch.context() as patch:
            patch.setattr(soundfile.SoundFile, name, fails)
            with pytest.raises(BrokenAudioError, match=words):
                look(path)


def test_headers_of_nonsense_are_broken(tmp_path: Path, wav: Write) -> None:
    content = wav(tmp_path / "a.wav").read_bytes()
    for at, value in ((22, 60_000), (24, 0), (34, 0), (20, 0x1234)):  # channels, rate, bits, format
        size = 4 if at == 24 else 2
        (tmp_path / "b.wav").write_bytes(content[:at] + value.to_bytes(size, "little") + content[at + size :])
        with pytest.raises(BrokenAudioError):
            look(tmp_path / "b.wav")
    for end in (1, 4, 12, 20, 40):
        (tmp_path / "b.wav").write_bytes(content[:end])
        with pytest.raises(BrokenAudioError):
            look(tmp_path / "b.wav")


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(BrokenAudioError, match="is no file"):
        look(tmp_path / "a.wav")


def test_names_that_are_not_utf8(tmp_path: Path, wav: Write) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.wav")
    wav(tmp_path / "a.wav").rename(path)
    assert look(path).frames == 800
