"""Audio files as waveforms for the extractors."""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ser_lightning.corpora.audio import BrokenAudioError, Samples, decode, digest_of, mono
from ser_lightning.errors import UserError


@lru_cache
def _resampler(source_rate: int, target_rate: int) -> torch.nn.Module:
    from ser_lightning.features.torchaudio_shim import torchaudio

    resampler: torch.nn.Module = torchaudio.transforms.Resample(source_rate, target_rate)
    return resampler


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

    Channels are averaged; another rate is converted by windowed-sinc interpolation (torchaudio's defaults).

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
    return {wanted: mixed if wanted == rate else _resampler(rate, wanted)(mixed) for wanted in sample_rates}
