"""MP3s of variable bit rate with and without a tag, joined, among other tags, cut short. Tags are made by hand."""

import io
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_lightning.corpora.audio import BrokenAudioError, decode
from ser_lightning.corpora.containers.mpeg import header

SECONDS = 2
ID3 = b"ID3\x03\0\0\0\0\x10\x00" + b"\xff\xfb\x90\x00" * 512
ID3V1 = b"TAG" + b" " * 125
APE = b"APETAGEX" + struct.pack("<4I", 2000, 48, 0, 0) + bytes(8) + b"x" * 16


def encoded(rate: int = 16_000, channels: int = 1, mode: str = "VARIABLE") -> bytes:
    rng = np.random.default_rng(3)
    loudness = np.repeat(rng.uniform(0, 1, 40) ** 3, SECONDS * rate // 40)
    noise = rng.normal(0, 0.2, (len(loudness), channels)) * loudness[:, None]
    out = io.BytesIO()
    soundfile.write(out, noise, rate, format="MP3", bitrate_mode=mode, compression_level=0.4)
    return out.getvalue()


def offsets(mp3: bytes) -> list[int]:
    """Where frames begin, the tag's first, and where the last ends."""
    found = [0]
    while found[-1] < len(mp3):
        frame = header(mp3, found[-1])
        assert frame
        found.append(found[-1] + frame.length)
    return found


def frames_told(mp3: bytes) -> int:
    """By the encoder itself."""
    at = max(mp3.find(b"Xing"), mp3.find(b"Info"))
    return int(struct.unpack(">I", mp3[at + 8 : at + 12])[0])


def without_tag(mp3: bytes) -> bytes:
    return mp3[offsets(mp3)[1] :]


def read(path: Path, content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    path.write_bytes(content)
    return decode(path)[0][:, 0]


def holds(longer: np.ndarray, shorter: np.ndarray) -> bool:  # type: ignore[type-arg]
    """Whether the end of one, but for the last frames, stands in the other as it is."""
    piece = shorter[-9000:-4000]
    places = np.flatnonzero(longer[:-5000] == piece[0])
    return any(np.array_equal(longer[at : at + 5000], piece) for at in places)


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (16_000, 1), (24_000, 2), (44_100, 1), (48_000, 2)])
def test_a_variable_bit_rate_without_a_tag_is_read_whole(tmp_path: Path, rate: int, channels: int) -> None:
    mp3 = encoded(rate, channels)
    bare = without_tag(mp3)
    sizes = {b - a for a, b in pairwise(offsets(bare))}
    assert len(sizes) > 2, "the bit rate varies"
    samples = read(tmp_path / "bare.mp3", bare)
    # Every frame has as many samples; the decoder's own delay is no audio.
    assert len(samples) == frames_told(mp3) * (576 if rate < 32_000 else 1152) - 529
    assert holds(samples, read(tmp_path / "tagged.mp3", mp3))


def test_a_constant_bit_rate_without_a_tag_is_read_as_it_is(tmp_path: Path) -> None:
    mp3 = encoded(mode="CONSTANT")
    assert len(read(tmp_path / "a.mp3", without_tag(mp3))) == frames_told(mp3) * 576


def test_tags_before_among_and_behind(tmp_path: Path) -> None:
    mp3, expected = encoded(), SECONDS * 16_000
    bare, whole = without_tag(mp3), frames_told(mp3) * 576 - 529
    middle = offsets(bare)[40]
    for content, frames in (
        (ID3 + mp3 + ID3V1, expected),
        (mp3 + APE + ID3V1, expected),
        (bare + APE + ID3V1, whole),
        (bare + bytes(5000), whole),
        (bare[:middle] + ID3 + bare[middle:], whole),
        (bare[:middle] + bytes(5000) + bare[middle:], whole),
    ):
        assert len(read(tmp_path / "a.mp3", content)) == frames


def test_joined_files_are_read_one_after_the_other(tmp_path: Path) -> None:
    mp3 = encoded()
    bare = without_tag(mp3)
    one = read(tmp_path / "one.mp3", mp3)
    assert np.array_equal(read(tmp_path / "a.mp3", mp3 + mp3), np.concatenate([one, one]))
    assert np.array_equal(read(tmp_path / "b.mp3", ID3 + mp3 + ID3V1 + ID3 + mp3 + ID3V1), np.concatenate([one, one]))
    frames = frames_told(mp3)
    # One tag is for fewer frames than follow.
    assert len(read(tmp_path / "c.mp3", mp3 + bare)) == 2 * frames * 576 - 529
    assert len(read(tmp_path / "d.mp3", bare + mp3)) == frames * 576 - 529 + len(one)
    with pytest.raises(BrokenAudioError, match="16000 Hz, channels: 1; 24000 Hz"):
        read(tmp_path / "e.mp3", mp3 + encoded(24_000))


def test_what_is_cut_short_is_told(tmp_path: Path) -> None:
    mp3 = encoded()
    bare, ends = without_tag(mp3), offsets(mp3)
    frames = frames_told(mp3)
    for cut in (1, 30, len(bare) * 4 // 10):
        for content in (mp3, bare, mp3 + bare):
            with pytest.raises(BrokenAudioError, match=r"cut short: its last frame has \d+ of \d+ bytes"):
                read(tmp_path / "a.mp3", content[:-cut])
    # At the end of a frame only the tag tells.
    with pytest.raises(BrokenAudioError, match=f"cut short: {frames - 20} of {frames} frames"):
        read(tmp_path / "b.mp3", mp3[: ends[-21]])


def test_tags_that_libsndfile_does_not_go_by(tmp_path: Path) -> None:
    """Fraunhofer's, one without a number of frames, and one of a wrong number."""
    mp3 = encoded()
    tag, bare = bytearray(mp3[: offsets(mp3)[1]]), without_tag(mp3)
    frames, at = frames_told(mp3), tag.find(b"Xing")
    vbri = tag[:4] + bytes(32) + b"VBRI" + struct.pack(">3H2I4H", 1, 0, 0, len(mp3), frames, 1, 1, 4, 1)
    vbri = vbri.ljust(len(tag), b"\0")
    silent = tag[: at + 4] + bytes(len(tag) - at - 4)
    less = tag[: at + 8] + struct.pack(">I", 5) + tag[at + 12 :]
    for changed in (vbri, silent, less):
        assert len(read(tmp_path / "a.mp3", bytes(changed) + bare)) == frames * 576 - 529
    with pytest.raises(BrokenAudioError, match=f"cut short: {frames - 1} of {frames} frames"):
        read(tmp_path / "b.mp3", bytes(vbri) + bare[: offsets(bare)[-2]])


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
def test_mp3_in_a_wav(tmp_path: Path, mode: str) -> None:
    mp3 = encoded(mode=mode)
    data = without_tag(mp3)
    form = struct.pack("<HHIIHHHHIHHH", 0x55, 1, 16_000, 4000, 1, 0, 12, 1, 2, 288, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form
    body += b"fact" + struct.pack("<II", 4, SECONDS * 16_000) + b"data" + struct.pack("<I", len(data)) + data
    delay = 0 if mode == "CONSTANT" else 529
    wav = b"RIFF" + struct.pack("<I", len(body)) + body
    assert len(read(tmp_path / "a.wav", wav)) == frames_told(mp3) * 576 - delay
    with pytest.raises(BrokenAudioError, match="cut short"):
        read(tmp_path / "b.wav", wav[:-1000])


def test_bytes_of_no_meaning_are_no_audio(tmp_path: Path) -> None:
    for content in (b"\xff" * 4000, b"\xff\xfb\x90\x00" * 500, b"ID3\x03\0\0\0\0\x01\x00" + bytes(300)):
        with pytest.raises(BrokenAudioError, match="not recognised"):
            read(tmp_path / "a.mp3", content)
