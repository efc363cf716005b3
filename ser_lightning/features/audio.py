"""Reading audio files."""

from functools import lru_cache
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from ser_lightning.errors import UserError


@lru_cache
def _resampler(source_rate: int, target_rate: int) -> torch.nn.Module:
    from ser_lightning.features.torchaudio_shim import torchaudio

    resampler: torch.nn.Module = torchaudio.transforms.Resample(source_rate, target_rate)
    return resampler


def _decode(path: Path) -> tuple[Tensor, int]:
    """Samples (N, channels) and their rate in Hz."""
    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            announced, rate = file.frames, file.samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise UserError(f"{path}: cannot read this audio file ({error}); replace it or remove it") from error
    if not len(samples):
        raise UserError(f"{path}: the audio file holds no samples; replace it or remove it")
    if len(samples) < announced:
        message = f"{path}: the audio file is cut off after {len(samples)} of {announced} samples; replace it"
        raise UserError(message)
    return torch.from_numpy(samples), rate


def read_audio(path: Path, sample_rate: int) -> Tensor:
    """Read a file as one channel at `sample_rate` Hz.

    Channels are averaged; another rate is converted by windowed-sinc interpolation (torchaudio's defaults).

    Returns:
        float32 (N,); full scale is [-1, 1] (a 16-bit sample v becomes v / 32768).

    Raises:
        UserError: the file is missing, broken, cut off or empty.
    """
    samples, rate = _decode(path)
    mono = samples.mean(dim=1)
    if rate == sample_rate:
        return mono
    resampled: Tensor = _resampler(rate, sample_rate)(mono)
    return resampled
