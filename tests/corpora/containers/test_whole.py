"""Every format that libsndfile writes here is read whole, and what is cut short is said to be."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.audio import BrokenAudioError, decode, look

N = 12_000
FORMS = [
    (form, subtype)
    for form in soundfile.available_formats()
    for subtype in soundfile.available_subtypes(form)
    if form not in ("RAW", "SD2")  # one has no header, the other has it in a file of its own
    and subtype not in ("DWVW_12", "MPEG_LAYER_I", "MPEG_LAYER_II")  # which libsndfile can't write
    and (form, subtype) != ("WAV", "MPEG_LAYER_III")
]
NO_LENGTH = ("IRCAM", "PAF", "PVF", "XI")
"""Containers that say nothing of their length."""


def written(form: str, subtype: str, channels: int = 1) -> bytes:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (N, channels)).astype(np.float32)
    out = io.BytesIO()
    soundfile.write(out, noise, 16_000, subtype, format=form)
    return out.getvalue()


def reading(path: Path, content: bytes) -> int:
    """The frames that are read of the content, a block at a time and all at once."""
    path.write_bytes(content)
    samples, rate = decode(path)
    seen = look(path)
    assert (seen.frames, seen.sample_rate, seen.channels) == (len(samples), rate, samples.shape[1])
    return len(samples)


@pytest.mark.parametrize(("form", "subtype"), FORMS)
def test_every_format_is_read_whole_or_cut_short(tmp_path: Path, form: str, subtype: str) -> None:
    content = written(form, subtype)
    # Codecs of whole blocks round up.
    assert N <= reading(tmp_path / "a", content) <= N + 512
    cut = content[: len(content) * 6 // 10]
    if form in NO_LENGTH:
        assert reading(tmp_path / "b", cut) < N
    else:
        with pytest.raises(BrokenAudioError):
            reading(tmp_path / "b", cut)


@pytest.mark.parametrize(
    "format_and_subtype", [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)]
)
def test_blocks_do_not_show(
    tmp_path: Path, format_and_subtype: tuple[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    form, subtype = format_and_subtype
    (tmp_path / "a").write_bytes(written(form, subtype or "MPEG_LAYER_III", channels=2))
    whole, seen = decode(tmp_path / "a")[0], look(tmp_path / "a")
    monkeypatch.setattr("ser_lightning.corpora.audio.BLOCK", 1000)
    again = look(tmp_path / "a")
    assert np.array_equal(decode(tmp_path / "a")[0], whole)
    assert again.digest == seen.digest
    assert again.levels.mean == pytest.approx(seen.levels.mean)
    assert again.levels.deviation == pytest.approx(seen.levels.deviation)
    assert (again.levels.low, again.levels.high) == (seen.levels.low, seen.levels.high)


def from_pipe(flac: bytes) -> bytes:
    """As an encoder leaves it that can't go back: no number of samples (the last 36 of 64 bits from byte 18 on)."""
    assert flac[:8] == b"fLaC\0\0\0\x22"
    return flac[:21] + bytes([flac[21] & 0xF0, 0, 0, 0, 0]) + flac[26:]


def test_flac_from_a_pipe(tmp_path: Path) -> None:
    piped = from_pipe(written("FLAC", "PCM_16"))
    (tmp_path / "whole").write_bytes(written("FLAC", "PCM_16"))
    (tmp_path / "piped").write_bytes(piped)
    assert look(tmp_path / "piped") == look(tmp_path / "whole")
    for cut in (1, 100, len(piped) // 2):
        with pytest.raises(BrokenAudioError, match="cut short"):
            reading(tmp_path / "cut", piped[:-cut])


def test_flac_among_tags_and_joined_to_another(tmp_path: Path) -> None:
    flac = written("FLAC", "PCM_16")
    id3 = b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)
    assert reading(tmp_path / "a", id3 + flac) == N
    assert reading(tmp_path / "a", flac + b"TAG" + bytes(125)) == N
    (tmp_path / "b").write_bytes(flac + flac)
    assert np.array_equal(decode(tmp_path / "b")[0], np.concatenate([decode(tmp_path / "a")[0]] * 2))
    with pytest.raises(BrokenAudioError, match="cut short"):
        reading(tmp_path / "c", flac + flac[:-100])


def test_nothing_of_two_forms_is_taken_for_one(tmp_path: Path) -> None:
    with pytest.raises(BrokenAudioError, match="channels: 1; 16000 Hz, channels: 2"):
        reading(tmp_path / "a", written("FLAC", "PCM_16") + written("FLAC", "PCM_16", channels=2))
