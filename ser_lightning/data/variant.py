"""Augmented variants of recordings: the same extractor on a changed waveform, under a key of its own in the store.

What changes a variant is among the parameters that its key is made of, and what is drawn depends on the waveform alone:
a variant is computed once, by whichever process, and plain features never mix with it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ser_lightning.config.schema import Waveform
from ser_lightning.features.extractor import Extractor, Parameter

if TYPE_CHECKING:
    import torch
    from torch import Tensor

VERSION = 2
"""Raised whenever the same settings would give other variants than before."""


def variant(extractor: Extractor, settings: Waveform, copy: int) -> Extractor:
    """`extractor` on the `copy`-th variant of each waveform, counted from 1."""
    return _Variant(extractor, settings, copy)  # type: ignore[return-value]  # its name is its extractor's, not its class's


@dataclass(frozen=True)
class _Variant:
    extractor: Extractor
    settings: Waveform
    copy: int

    @property
    def name(self) -> str:
        return f"{self.extractor.name}+variant"

    @property
    def version(self) -> int:
        return self.extractor.version

    @property
    def spectrogram(self) -> bool:
        return self.extractor.spectrogram

    @property
    def sample_rate(self) -> int:
        return self.extractor.sample_rate

    @property
    def dim(self) -> int:
        return self.extractor.dim

    @property
    def hop_seconds(self) -> float:
        return self.extractor.hop_seconds

    @property
    def parameters(self) -> dict[str, Parameter]:
        snr = "..".join(map(str, map(float, self.settings.snr)))
        drawn: dict[str, Parameter] = {"speed": self._speed, "snr": snr, "copy": self.copy, "seed": self.settings.seed}
        return self.extractor.parameters | {f"variant.{k}": v for k, v in (drawn | {"version": VERSION}).items()}

    def extract(self, waveform: Tensor) -> Tensor:
        changed = at_speed(waveform, self._speed)
        if self.settings.snr:
            changed = with_noise(changed, tuple(self.settings.snr), self._generator(waveform))
        return self.extractor.extract(changed)

    @property
    def _speed(self) -> float:
        # By copy and not drawn: streams at different sample rates must keep one time axis.
        speeds = self.settings.speeds or [1.0]
        return float(speeds[(self.copy - 1) % len(speeds)])

    def _generator(self, waveform: Tensor) -> torch.Generator:
        import torch

        key = f"{self.settings.seed} {self.copy} ".encode() + waveform.contiguous().numpy().tobytes()
        seed = int.from_bytes(hashlib.sha256(key).digest()[:8], "little", signed=True)
        return torch.Generator().manual_seed(seed)


def at_speed(waveform: Tensor, factor: float) -> Tensor:
    """(N,) played `factor` times as fast, in hundredths: about N / factor samples, pitch moves along.

    Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
    """
    if factor == 1:
        return waveform
    from ser_lightning.features.audio import resample

    return resample(waveform, round(100 * factor), 100)


def with_noise(waveform: Tensor, snr: tuple[float, ...], generator: torch.Generator) -> Tensor:
    """(N,) with white Gaussian noise at an SNR (dB, of mean powers) drawn uniformly between the two of `snr`."""
    import torch

    low, high = snr
    level = low + (high - low) * torch.rand((), generator=generator).item()
    noise = torch.randn(len(waveform), generator=generator)
    power = waveform.square().mean() / 10 ** (level / 10)
    return waveform + noise * (power / noise.square().mean()).sqrt()
