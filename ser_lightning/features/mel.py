"""Mel filter banks in double precision, kept per set of parameters, and the power of spectra in their bands.

torchaudio's banks are no substitute: frequencies are rounded to single precision, which moves the power of
narrow bands by up to 4e-4, and its HTK triangles are straight in Hz where HTK's are straight in mel.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

from ser_lightning.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

_SLANEY_BREAK_HZ = 1000.0
_SLANEY_BREAK_MEL = 15.0
_SLANEY_LOG_STEP = math.log(6.4) / 27
_BANDS_A_PRODUCT = 32


def _slaney_mel(hertz: float) -> float:
    if hertz < _SLANEY_BREAK_HZ:
        return hertz * _SLANEY_BREAK_MEL / _SLANEY_BREAK_HZ
    return _SLANEY_BREAK_MEL + math.log(hertz / _SLANEY_BREAK_HZ) / _SLANEY_LOG_STEP


def _slaney_hertz(mels: Tensor) -> Tensor:
    linear = mels * _SLANEY_BREAK_HZ / _SLANEY_BREAK_MEL
    logarithmic = _SLANEY_BREAK_HZ * ((mels - _SLANEY_BREAK_MEL) * _SLANEY_LOG_STEP).exp()
    return linear.where(mels < _SLANEY_BREAK_MEL, logarithmic)


def _triangles(bins: Tensor, edges: Tensor) -> Tensor:
    """(F,) positions of the bins and (M + 2,) rising edges -> (F, M); filter m peaks with 1 at edge m + 1."""
    rising = (bins[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    return rising.minimum(falling).clamp(min=0)


def _without_empty_filters(bank: Tensor, n_fft: int) -> Tensor:
    # Rounding can leave about 1e-16 of a filter whose edge falls on a bin.
    empty = int((bank.amax(dim=0) < 1e-9).sum())
    if empty:
        raise ConfigError(
            f"{empty} of n_mels={bank.shape[1]} mel filters hold no bin of the FFT (n_fft={n_fft}) and "
            f"would be constant; lower n_mels or lengthen the window"
        )
    return bank


@lru_cache
def htk_bank(sample_rate: int, n_fft: int, n_mels: int) -> Tensor:
    """Triangles straight in mel = 1127 ln(1 + f / 700), from 0 Hz to sample_rate / 2.

    Source: Young et al., The HTK Book, chapter 5.

    Returns:
        float32 (n_fft // 2 + 1, n_mels), peaks 1; shared, not to be changed.

    Raises:
        ConfigError: a filter holds no FFT bin.
    """
    import torch

    hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    highest = 1127 * math.log1p(sample_rate / 2 / 700)
    edges = torch.linspace(0, highest, n_mels + 2, dtype=torch.float64)
    bank = _triangles(1127 * torch.log1p(hertz / 700), edges)
    return _without_empty_filters(bank, n_fft).float()


@lru_cache
def slaney_bank(sample_rate: int, n_fft: int, n_mels: int, fmin: float, fmax: float) -> Tensor:
    """Triangles straight in Hz, of area 1 Hz, spaced on Slaney's scale from `fmin` to `fmax` (Hz).

    The scale is linear to 1 kHz, logarithmic above (Slaney, Auditory Toolbox, 1998): librosa's default.

    Returns:
        float32 (n_fft // 2 + 1, n_mels); shared, not to be changed.

    Raises:
        ConfigError: a filter holds no FFT bin.
    """
    import torch

    hertz = torch.arange(n_fft // 2 + 1, dtype=torch.float64) * sample_rate / n_fft
    mels = torch.linspace(_slaney_mel(fmin), _slaney_mel(fmax), n_mels + 2, dtype=torch.float64)
    edges = _slaney_hertz(mels)
    bank = _without_empty_filters(_triangles(hertz, edges), n_fft)
    return (bank * 2 / (edges[2:] - edges[:-2])).float()


def mel_power(spectrum: Tensor, bank: Tensor) -> Tensor:
    """complex64 (T, F) and one of the banks here, (F, M) -> float32 (T, M), the weighted power of each band.

    `spectrum` is overwritten: what fits into the cache is faster than what doesn't.
    """
    import torch

    # Both parts are squared in one contiguous pass: torch doesn't vectorise over `spectrum.real`.
    real, imaginary = torch.view_as_real(spectrum).square_().unbind(-1)
    power = real + imaginary
    return torch.cat([power[:, bins] @ weights for bins, weights in _products(bank)], dim=1)


@lru_cache
def _products(bank: Tensor) -> list[tuple[slice, Tensor]]:
    """Groups of neighbouring bands: the bins that reach them, and the part of the bank that isn't zero throughout."""
    import torch

    groups = []
    for bands in torch.split(bank, _BANDS_A_PRODUCT, dim=1):
        reached = bands.any(dim=1).nonzero()
        bins = slice(int(reached[0]), int(reached[-1]) + 1)
        groups.append((bins, bands[bins].contiguous()))
    return groups
