"""Decoding audio files with libsndfile to their proven end, and looking at one: its digest, levels and header."""

import hashlib
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from ser_lightning.corpora.containers.part import BrokenAudioError, Part
from ser_lightning.corpora.containers.whole import declared, parts
from ser_lightning.corpora.levels import Levels, Meter, Samples, mono

__all__ = ["Audio", "BrokenAudioError", "Samples", "decode", "digest_of", "look", "mono"]

POINTER = b"version https://git-lfs"
BLOCK = 1 << 18
"""Samples that are read at a time, of all channels together."""


@dataclass(frozen=True)
class Audio:
    """`digest`: see `digest_of`; `levels` are of the mono mix."""

    digest: str
    levels: Levels
    frames: int
    sample_rate: int
    channels: int


def decode(path: Path) -> tuple[Samples, int]:
    """Decode the whole file: float32 (N, channels), where 1 is full scale, and the rate in Hz.

    A file of no bytes has no samples, no channels and rate 0.

    Raises:
        BrokenAudioError: it is no audio, cut short, longer than what can be read of it, or holds samples that are not
            finite; whatever a library raises becomes one.
        OSError: it cannot be opened.
    """
    blocks = _blocks(path)
    first, rate = next(blocks)
    samples = first.copy()
    for block, _ in blocks:
        # In place, as long recordings would else be in memory twice.
        samples.resize((len(samples) + len(block), samples.shape[1]), refcheck=False)
        samples[len(samples) - len(block) :] = block
    return samples, rate


def digest_of(samples: Samples, rate: int) -> str:
    """Hexadecimal SHA-256 of samples, rate and channels; equal audio in WAV and in FLAC has equal digests."""
    digest = hashlib.sha256(_head(rate, samples.shape[1]))
    digest.update(_little_endian(samples))
    return digest.hexdigest()


def look(path: Path) -> Audio:
    """Decode the whole file, a block at a time, and keep what a corpus needs to know; raises what `decode` raises."""
    blocks = _blocks(path)
    block, rate = next(blocks)
    channels = block.shape[1]
    digest, meter = hashlib.sha256(_head(rate, channels)), Meter()
    while True:
        digest.update(_little_endian(block))
        meter.add(block)
        try:
            block, _ = next(blocks)
        except StopIteration:
            return Audio(digest.hexdigest(), meter.levels, meter.frames, rate, channels)


def _head(rate: int, channels: int) -> bytes:
    return f"{rate} {channels}\n".encode()


def _little_endian(samples: Samples) -> memoryview:
    return np.ascontiguousarray(samples, "<f4").data


class _Forward(soundfile.SoundFile):  # type: ignore[misc]
    """Read once from front to back: soundfile would seek behind every block, which some decoders do inexactly."""

    def seekable(self) -> bool:
        return False


def _blocks(path: Path) -> Iterator[tuple[Samples, int]]:
    """Blocks (n, channels) with the rate, at least one, of the same rate and channels."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise BrokenAudioError("is no file")
    if status.st_size == 0:
        yield np.zeros((0, 0), np.float32), 0
        return
    form = ""
    with _said(path):
        for part in parts(path):
            for block, rate in _read(path, part):
                new = f"{rate} Hz, channels: {block.shape[1]}"
                form = form or new
                if new != form:
                    raise BrokenAudioError(
                        f"holds recordings of unlike form ({form}; {new}); give each a file of its own"
                    )
                if not np.isfinite(block).all():
                    raise BrokenAudioError("holds samples that are not finite numbers")
                yield block, rate


def _read(path: Path, part: Part) -> Iterator[tuple[Samples, int]]:
    with _Forward(os.fsencode(path) if part.content is None else io.BytesIO(part.content)) as sound:
        size, end, done = max(1, BLOCK // sound.channels), declared(sound), 0
        while True:
            left = sound.frames - done if sound.frames > done else size
            try:
                block = sound.read(min(size, left), dtype="float32", always_2d=True)
            except soundfile.SoundFileError as error:
                raise BrokenAudioError(f"damaged or cut short ({_words(error)})") from error
            yield block, sound.samplerate
            done += len(block)
            # Behind the last frame that is told may stand tags, at which a decoder would take offence.
            if not len(block) or done == sound.frames:
                break
    if done < max(end, part.frames):
        raise BrokenAudioError(f"cut short: {done} of {max(end, part.frames)} frames")


@contextmanager
def _said(path: Path) -> Iterator[None]:
    """Whatever an audio library raises says what is wrong with the file."""
    try:
        yield
    except (BrokenAudioError, OSError):
        raise
    except MemoryError as error:
        raise BrokenAudioError("takes more memory than there is") from error
    except Exception as error:
        raise BrokenAudioError(_reason(path, error)) from error


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as source:
        if source.read(len(POINTER)) == POINTER:
            return "a git-lfs pointer, not audio; fetch the audio with `git lfs pull`"
    if isinstance(error, soundfile.SoundFileError):
        return _words(error)
    return f"{type(error).__name__}: {error}"


def _words(error: soundfile.SoundFileError) -> str:
    words = str(getattr(error, "error_string", error)).removeprefix("Error : ")
    # So it says where the MPEG decoder finds nothing.
    return "Format not recognised." if words.startswith("File does not exist") else words
