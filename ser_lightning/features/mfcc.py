"""MFCC with log energy, deltas and accelerations, as HTK and openSMILE define them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import check_length
from ser_lightning.features.mel import htk_bank, mel_power

if TYPE_CHECKING:
    from torch import Tensor

    from ser_lightning.features.extractor import Parameter

_INT16_SCALE = 32768.0
_REACH = 2
"""Frames on either side of which a delta is made."""


@lru_cache
def _cepstral_matrix(n_mels: int, n_cepstra: int, lifter: int) -> Tensor:
    """Orthonormal DCT-II without its row 0, times HTK's sine lifter, (n_mels, n_cepstra)."""
    import torch

    from ser_lightning.features.torchaudio_shim import torchaudio

    dct: Tensor = torchaudio.functional.create_dct(n_cepstra + 1, n_mels, norm="ortho")[:, 1:]
    order = torch.arange(1, n_cepstra + 1)
    weights = 1 + lifter / 2 * torch.sin(math.pi * order / lifter) if lifter else torch.ones(n_cepstra)
    return dct * weights


@lru_cache
def _padded_hamming(window: int, n_fft: int) -> Tensor:
    """On the scale of 16-bit integers, followed by zeros, (n_fft,)."""
    import torch

    hamming = torch.hamming_window(window, periodic=False) * _INT16_SCALE
    return torch.nn.functional.pad(hamming, (0, n_fft - window))


@dataclass(frozen=True)
class MFCC:
    """MFCC_E_D_A of HTK: cepstra 1..n_cepstra, log energy, then the deltas and accelerations of all of these.

    Frames are left-anchored and never padded: N samples give T = 1 + (N - window) // hop frames. Each frame
    (16-bit integer scale) is pre-emphasised on its own, weighted by a Hamming window, zero-padded to the next
    power of two; the mel powers and the energy of the raw frame have a floor of 1 before the natural
    logarithm. Deltas are HTK's regression over two frames on either side, edges repeated. Nothing is
    normalised. With the defaults, every value agrees with openSMILE's MFCC12_E_D_A to 2e-3 (values reach 90)
    for utterances of at least four frames; openSMILE mixes zeros into the deltas of shorter ones.
    Source: Young et al., The HTK Book, chapter 5, "Speech Input/Output".

    Raises:
        UserError: parameters outside their ranges (at construction); a mel filter without any FFT bin
            (a ConfigError), or a waveform shorter than one window (at extraction).
    """

    name: ClassVar[str] = "mfcc"
    version: ClassVar[int] = 1
    spectrogram: ClassVar[bool] = False

    sample_rate: int = 16000
    """Rate to which audio is brought first (Hz)."""

    window: int = 400
    """Frame length (samples)."""

    hop: int = 160
    """Step from one frame to the next (samples)."""

    n_mels: int = 26
    """Mel bands from 0 Hz to half the sample rate."""

    n_cepstra: int = 12
    """Cepstral coefficients kept, from the first; the zeroth is replaced by the log energy."""

    lifter: int = 22
    """Length of the sine lifter over the cepstra; 0 is none."""

    preemphasis: float = 0.97
    """Coefficient k of x[n] - k x[n-1]."""

    def __post_init__(self) -> None:
        for field, least in {"sample_rate": 1, "window": 2, "hop": 1, "n_cepstra": 1, "lifter": 0}.items():
            if getattr(self, field) < least:
                raise UserError(f"mfcc: {field}={getattr(self, field)} must be at least {least}")
        if self.n_cepstra >= self.n_mels:
            raise UserError(f"mfcc: n_cepstra={self.n_cepstra} must be below n_mels={self.n_mels}")
        if not 0 <= self.preemphasis < 1:
            raise UserError(f"mfcc: preemphasis={self.preemphasis} must lie in [0, 1)")

    @property
    def dim(self) -> int:
        return 3 * (self.n_cepstra + 1)

    @property
    def hop_seconds(self) -> float:
        return self.hop / self.sample_rate

    @property
    def parameters(self) -> dict[str, Parameter]:
        return asdict(self)

    @property
    def shortest(self) -> int:
        return self.window

    def extract(self, waveform: Tensor) -> Tensor:
        """float32 (N,) in [-1, 1] -> float32 (1 + (N - window) // hop, dim)."""
        import torch

        check_length(self, waveform.numel())
        squares = waveform.square().unfold(0, self.window, self.hop).sum(dim=1, keepdim=True)
        energy = squares.mul_(_INT16_SCALE**2).clamp_(min=1).log_()
        static = torch.cat([self._cepstra(waveform), energy], dim=1)
        # openSMILE lets the deltas run on past the end (over repeated last frames) and takes the
        # accelerations of those; at the beginning it repeats the first delta instead.
        first, last = static[:1], static[-1:]
        deltas = _regression(torch.cat([*[first] * _REACH, static, *[last] * 2 * _REACH]))
        accelerations = _regression(torch.cat([*[deltas[:1]] * _REACH, deltas]))
        return torch.cat([static, deltas[:-_REACH], accelerations], dim=1)

    def _cepstra(self, waveform: Tensor) -> Tensor:
        """(N,) -> (T, n_cepstra)."""
        import torch

        n_fft = 1 << (self.window - 1).bit_length()
        window = _padded_hamming(self.window, n_fft)
        # The last frame's zeros too are read from here: frames of whole cache lines are weighted in half the time.
        emphasised = waveform.new_zeros(len(waveform) + n_fft - self.window)
        torch.sub(waveform[1:], waveform[:-1], alpha=self.preemphasis, out=emphasised[1 : len(waveform)])
        frames = emphasised.unfold(0, n_fft, self.hop) * window
        # HTK emphasises inside the frame: its first sample is taken to follow an equal one.
        first = waveform[: len(frames) * self.hop : self.hop]
        frames[:, 0] = first * ((1 - self.preemphasis) * window[0])
        mel = mel_power(torch.fft.rfft(frames), htk_bank(self.sample_rate, n_fft, self.n_mels))
        cepstra: Tensor = mel.clamp_(min=1).log_() @ _cepstral_matrix(self.n_mels, self.n_cepstra, self.lifter)
        return cepstra


def _regression(x: Tensor) -> Tensor:
    """HTK's, over two frames on either side, (T + 4, D) -> (T, D)."""
    return (x[3:-1] - x[1:-3]).add_(x[4:] - x[:-4], alpha=2).div_(10)
