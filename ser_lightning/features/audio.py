"""Audio files as waveforms for the extractors."""

from collections.abc import Iterable
from pathlib import Path

import soxr
import torch
from torch import Tensor

from ser_lightning.corpora.audio import BrokenAudioError, Samples, decode, digest_of, mono
from ser_lightning.errors import UserError


def _decode(path: Path, digest: str) -> tuple[Samples, int]:
    try:
        samples, rate = decode(path)
    except (BrokenAudioError, OSError) as error:
        raise UserError(f"{path}: cannot read this audio file ({error}); replace it or remove it") from error
    if digest_of(samples, rate) != digest:
        raise UserError(f"{path}: the audio file changed since it was scanned; start again")
    if not len(samples):
        raise UserError(f"{path}: the audio file holds no samples; replace it or remove it")
    return samples, rate


def read_audio(path: Path, digest: str, sample_rates: Iterable[int]) -> dict[int, Tensor]:
    """Read a file once, as one channel at each of `sample_rates` (Hz).

    Channels are averaged; another rate is converted by `resample`. What changes here raises READING of `extractor.py`.

    Args:
        path: the audio file.
        digest: what its audio must be, see `corpora.audio.digest_of`.
        sample_rates: those of the waveforms wanted.

    Returns:
        Sample rate -> float32 (N,); full scale is [-1, 1] (a 16-bit sample v becomes v / 32768).

    Raises:
        UserError: the file is missing, broken, cut short, empty, or holds other audio than `digest` says.
    """
    samples, rate = _decode(path, digest)
    mixed = torch.from_numpy(mono(samples))
    return {wanted: resample(mixed, rate, wanted) for wanted in sample_rates}


def resample(waveform: Tensor, source_rate: int, target_rate: int) -> Tensor:
    """float32 (N,) at one rate -> float32 (about N * target_rate / source_rate,) at another (Hz, or any ratio of two).

    The SoX resampler at its high quality (HQ, linear phase): from 48 to 16 kHz flat to 0.01 dB up to 7.3 kHz, and what
    16 kHz cannot hold, from 8 kHz up, is gone by more than 100 dB. Memory and time do not depend on the ratio.
    """
    if source_rate == target_rate:
        return waveform
    return torch.from_numpy(soxr.resample(waveform.numpy(), source_rate, target_rate, "HQ"))
