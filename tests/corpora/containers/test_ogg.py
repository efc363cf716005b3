"""Ogg pages that are missing, and streams that are chained."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.audio import BrokenAudioError, decode

SUBTYPES = pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
N = 96_000


def encoded(subtype: str, frames: int = N, rate: int = 16_000) -> bytes:
    noise = np.random.default_rng(frames).normal(0, 0.1, frames)
    out = io.BytesIO()
    soundfile.write(out, noise, rate, subtype, format="OGG")
    return out.getvalue()


def pages(ogg: bytes) -> list[bytes]:
    return [b"OggS" + page for page in ogg.split(b"OggS")[1:]]


def read(path: Path, content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    path.write_bytes(content)
    return decode(path)[0]


@SUBTYPES
def test_pages_that_are_missing_or_cut(tmp_path: Path, subtype: str) -> None:
    ogg = encoded(subtype)
    whole = pages(ogg)
    assert len(read(tmp_path / "a.ogg", ogg)) == N
    last = len(whole) - 1
    for content, why in (
        (b"".join(whole[:-1]), f"cut short: page {last - 1}, where it ends, is not marked as the last"),
        (ogg[:-1], rf"cut short: its last page has {len(whole[-1]) - 1} bytes"),
        (ogg[: len(ogg) * 6 // 10], "cut short: its last page has"),
        (b"".join(whole[:4] + whole[5:]), "pages are missing: page 5 follows page 3"),
        (b"".join(whole[1:]), "cut short: the first page of a stream is missing"),
        (b"".join(whole[:2]), "page 1, where it ends, is not marked as the last"),
    ):
        with pytest.raises(BrokenAudioError, match=why):
            read(tmp_path / "a.ogg", content)


@SUBTYPES
def test_a_page_with_a_flipped_bit_is_missed(tmp_path: Path, subtype: str) -> None:
    """libogg drops a page whose checksum is wrong, and says nothing of it."""
    whole = pages(encoded(subtype))
    whole[4] = whole[4][:200] + bytes([whole[4][200] ^ 1]) + whole[4][201:]
    with pytest.raises(BrokenAudioError, match=rf"cut short: \d+ of {N} frames"):
        read(tmp_path / "a.ogg", b"".join(whole))


@SUBTYPES
def test_chained_streams_are_read_one_after_the_other(tmp_path: Path, subtype: str) -> None:
    first, second = encoded(subtype), encoded(subtype, 20_000)
    alone = [read(tmp_path / "a.ogg", ogg) for ogg in (first, second)]
    # The same stream twice has the same serial number twice.
    assert np.array_equal(read(tmp_path / "b.ogg", first + second), np.concatenate(alone))
    assert np.array_equal(read(tmp_path / "b.ogg", first + first), np.concatenate([alone[0]] * 2))
    assert np.array_equal(read(tmp_path / "b.ogg", first + b"TAG" + bytes(125)), alone[0])
    with pytest.raises(BrokenAudioError, match="cut short"):
        read(tmp_path / "b.ogg", b"".join(pages(first)[:-1]) + second)
    with pytest.raises(BrokenAudioError, match="16000 Hz, channels: 1; 24000 Hz"):
        read(tmp_path / "b.ogg", first + encoded(subtype, 20_000, rate=24_000))
