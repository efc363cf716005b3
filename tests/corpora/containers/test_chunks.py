"""Headers that say more, less or nothing of what follows, wherever metadata stands. WAVs made by hand."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.audio import BrokenAudioError, decode, look

N = 8000
PCM = np.random.default_rng(0).integers(-9000, 9000, N).astype("<i2")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def wave(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
DATA = chunk(b"data", PCM.tobytes())
TEXT = chunk(b"LIST", b"INFO" + chunk(b"ICMT", b"x" * 3000))
ID3 = chunk(b"id3 ", bytes(range(256)) * 30)


def encoded(form: str, subtype: str = "PCM_16") -> bytearray:
    out = io.BytesIO()
    soundfile.write(out, PCM, 16_000, subtype, format=form)
    return bytearray(out.getvalue())


def read(path: Path, content: bytes) -> bytes:
    """The samples read, as 16-bit integers."""
    path.write_bytes(content)
    return (decode(path)[0][:, 0] * 32768).astype("<i2").tobytes()


@pytest.mark.parametrize(
    "content",
    [
        wave(TEXT, FORMAT, TEXT, DATA),
        wave(FORMAT, chunk(b"JUNK", bytes(70_000)), DATA, TEXT, ID3),
        wave(FORMAT, DATA, ID3)[:-5000],
        wave(FORMAT, DATA) + bytes(9000),
        b"ID3\x03\0\0\0\0\x01\x00" + bytes(128) + wave(FORMAT, DATA),
        wave(FORMAT, DATA) + b"TAG" + b" " * 125,
    ],
    ids=["before", "both sides", "behind and cut", "zeros", "ID3v2", "ID3v1"],
)
def test_metadata_may_stand_anywhere(tmp_path: Path, content: bytes) -> None:
    assert read(tmp_path / "a.wav", content) == PCM.tobytes()


@pytest.mark.parametrize("content", [wave(FORMAT, TEXT, DATA), wave(TEXT * 4, FORMAT, DATA)])
def test_samples_that_are_missing_are_told_with_both_lengths(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(BrokenAudioError, match=f"cut short: {2 * N - 2000} of {2 * N} bytes"):
        read(tmp_path / "a.wav", content[:-2000])


def test_an_odd_number_of_bytes_with_and_without_its_padding(tmp_path: Path) -> None:
    form = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 16_000, 1, 8))
    odd = b"data" + struct.pack("<I", 999) + bytes(999)
    for content in (wave(form, odd, TEXT), wave(form, odd, b"\0", TEXT)):
        (tmp_path / "a.wav").write_bytes(content)
        assert look(tmp_path / "a.wav").frames == 999


@pytest.mark.parametrize(
    "size", [0, 0x7FFF0000, 0x7FFFF000, 0x7FFFFFDB, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF]
)
def test_a_stream_that_never_knew_its_size_is_whole(tmp_path: Path, size: int) -> None:
    content = bytearray(wave(FORMAT, chunk(b"data", PCM.tobytes(), size)))
    assert read(tmp_path / "a.wav", bytes(content)) == PCM.tobytes()
    content[4:8] = struct.pack("<I", size)
    assert read(tmp_path / "b.wav", bytes(content)) == PCM.tobytes()


def test_codecs_from_a_stream(tmp_path: Path) -> None:
    for subtype in ("GSM610", "IMA_ADPCM", "MS_ADPCM", "G721_32", "ULAW", "FLOAT"):
        content = encoded("WAV", subtype)
        (tmp_path / "a.wav").write_bytes(content)
        at = content.find(b"data") + 4
        content[at : at + 4] = bytes(4)
        (tmp_path / "b.wav").write_bytes(content)
        assert look(tmp_path / "a.wav").frames >= N
        assert look(tmp_path / "b.wav") == look(tmp_path / "a.wav")


def test_no_samples_between_chunks_are_none(tmp_path: Path) -> None:
    assert read(tmp_path / "a.wav", wave(FORMAT, chunk(b"data", b""), TEXT)) == b""
    assert read(tmp_path / "b.wav", wave(FORMAT, chunk(b"data", b""))) == b""


def test_samples_behind_the_declared_ones_are_no_secret(tmp_path: Path) -> None:
    with pytest.raises(BrokenAudioError, match=f"{2 * N - 1000} bytes behind the samples would not be read"):
        read(tmp_path / "a.wav", wave(FORMAT, chunk(b"data", PCM.tobytes(), 1000)))
    for second in (wave(FORMAT, DATA), DATA):
        with pytest.raises(BrokenAudioError, match=f"another recording begins {len(second)} bytes before the end"):
            read(tmp_path / "a.wav", wave(FORMAT, DATA) + second)


SIZES = {
    # Where the size of the samples stands, its format, and what streams leave there.
    "RIFX": (b"data", 4, ">I", [0, 0xFFFFFFFF]),
    "AU": (b".snd", 8, ">I", [0, 0x7FFFFFFF, 0xFFFFFFFF]),
    "W64": (b"data\xf3\xac\xd3\x11", 16, "<Q", [0, 24, 2**63 - 1, 2**64 - 1]),
    "RF64": (b"ds64", 16, "<Q", [0, 0xFFFFFFFF, 2**64 - 1]),
    "CAF": (b"data", 4, ">q", [-1]),
    "AIFF": (b"SSND", 4, ">I", [0, 0x7F000000, 0xFFFFFFFF]),
}


@pytest.mark.parametrize("form", SIZES)
def test_other_containers_from_a_stream_and_cut_short(tmp_path: Path, form: str) -> None:
    mark, offset, size, values = SIZES[form]
    out = io.BytesIO()
    soundfile.write(
        out, PCM, 16_000, "PCM_16", endian="BIG" if form == "RIFX" else None, format=form.replace("RIFX", "WAV")
    )
    content = bytearray(out.getvalue())
    assert read(tmp_path / "whole", bytes(content)) == PCM.tobytes()
    with pytest.raises(BrokenAudioError, match="cut short"):
        read(tmp_path / "cut", bytes(content[:-100]))
    at = content.index(mark) + offset
    for value in values:
        struct.pack_into(size, content, at, value)
        assert read(tmp_path / f"{value}", bytes(content)) == PCM.tobytes()


def test_frames_that_aiff_counts_and_does_not_hold(tmp_path: Path) -> None:
    content = encoded("AIFF")
    struct.pack_into(">I", content, content.index(b"COMM") + 10, N + 500)
    with pytest.raises(BrokenAudioError, match=f"cut short: {N} of {N + 500} frames"):
        read(tmp_path / "a.aif", bytes(content))
