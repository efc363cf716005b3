"""Decoding audio files with libsndfile, and looking at one: its digest, its peak and its header."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

POINTER = b"version https://git-lfs"
DATA_CHUNK = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
UNKNOWN_LENGTH = 0x7FFFF000
"""WAVs written to a pipe declare about this length or 0xFFFFFFFF, since the writer could not go back."""


class BrokenAudioError(Exception):
    """The file cannot be decoded to its end into finite samples; the message says why."""


@dataclass(frozen=True)
class Audio:
    """`digest`: see `digest_of`; `peak` is 1 at full scale."""

    digest: str
    peak: float
    frames: int
    sample_rate: int
    channels: int


def decode(path: Path) -> tuple[Samples, int]:
    """Decode the whole file: float32 (N, channels), where 1 is full scale, and the rate in Hz.

    A file of no bytes has no samples, no channels and rate 0.

    Raises:
        BrokenAudioError: it is no audio, cut short, or holds samples that are not finite.
        OSError: it cannot be opened.
    """
    if path.stat().st_size == 0:
        return np.zeros((0, 0), np.float32), 0
    try:
        with soundfile.SoundFile(path) as sound:
            _check_length(sound.extra_info)
            samples = sound.read(dtype="float32", always_2d=True)
            rate, declared = sound.samplerate, sound.frames
    except soundfile.SoundFileError as error:
        raise BrokenAudioError(_reason(path, error)) from error
    if len(samples) != declared:
        raise BrokenAudioError(f"cut short: {len(samples)} of {declared} frames")
    if not np.isfinite(samples).all():
        raise BrokenAudioError("holds samples that are not finite numbers")
    return samples, rate


def digest_of(samples: Samples, rate: int) -> str:
    """Hexadecimal SHA-256 of samples, rate and channels; equal audio in WAV and in FLAC has equal digests."""
    digest = hashlib.sha256(f"{rate} {samples.shape[1]}\n".encode())
    digest.update(np.ascontiguousarray(samples, "<f4").data)
    return digest.hexdigest()


def look(path: Path) -> Audio:
    """Decode the whole file and keep what a corpus needs to know; raises what `decode` raises."""
    samples, rate = decode(path)
    frames, channels = samples.shape
    return Audio(digest_of(samples, rate), float(np.abs(samples).max(initial=0.0)), frames, rate, channels)


def _check_length(log: str) -> None:
    """Raise where libsndfile silently shortened a WAV that declares more data than the file holds."""
    match = DATA_CHUNK.search(log)
    if match and int(match[2]) < int(match[1]) < UNKNOWN_LENGTH:
        raise BrokenAudioError(f"cut short: {match[2]} of {match[1]} bytes of samples")


def _reason(path: Path, error: soundfile.SoundFileError) -> str:
    with path.open("rb") as source:
        if source.read(len(POINTER)) == POINTER:
            return "a git-lfs pointer, not audio; fetch the audio with `git lfs pull`"
    return str(getattr(error, "error_string", error))
