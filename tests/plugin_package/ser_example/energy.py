"""Energies of bands of equal width, in decibels."""

from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ser_lightning.features.extractor import Parameter


@dataclass(frozen=True)
class Energy:
    """Power of `bands` equal parts of the spectrum from 0 to half the rate, over windows that do not overlap."""

    name: ClassVar[str] = "energy"
    version: ClassVar[int] = 1
    spectrogram: ClassVar[bool] = False

    window: int = 400
    """Samples a frame."""
    bands: int = 8
    """Values a frame."""

    @property
    def sample_rate(self) -> int:
        return 16000

    @property
    def dim(self) -> int:
        return self.bands

    @property
    def hop_seconds(self) -> float:
        return self.window / self.sample_rate

    @property
    def parameters(self) -> dict[str, Parameter]:
        return asdict(self)

    def extract(self, waveform: Tensor) -> Tensor:
        """float32 (N,) -> float32 (N // window, bands)."""
        frames = waveform[: len(waveform) // self.window * self.window].reshape(-1, self.window)
        power = torch.fft.rfft(frames).abs().square()
        parts = power.tensor_split(self.bands, dim=1)
        return torch.stack([part.mean(1) for part in parts], dim=1).clamp_min(1e-10).log10() * 10
