"""What an extractor is, and the key under which its features are kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from ser_lightning.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

Parameter = int | float | str | bool

READING = 2
"""Version of what comes before every extractor: decoding, mixing to one channel, resampling. Raised whenever the same
file would give another waveform than before; 1 was torchaudio's resampling."""


class Extractor(Protocol):
    """Turns a waveform into frames; a frozen dataclass whose fields are its configuration.

    It may have a property `shortest`, the samples that `extract` needs at least: shorter files are then found before
    any features are computed.
    """

    name: ClassVar[str]
    """Name in the table of extractors."""

    version: ClassVar[int]
    """Raised whenever the same parameters would give other numbers than before."""

    spectrogram: ClassVar[bool]
    """Whether axis 1 of the features is frequency, so that SpecAugment may mask bands of it; no part of the key."""

    @property
    def sample_rate(self) -> int:
        """Rate of the waveform that `extract` takes (Hz)."""

    @property
    def dim(self) -> int:
        """Features a frame."""

    @property
    def hop_seconds(self) -> float:
        """Time from one frame to the next (s)."""

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Every value that decides the numbers, with None defaults resolved."""

    def extract(self, waveform: Tensor) -> Tensor:
        """float32 (N,) in [-1, 1] at `sample_rate` -> float32 (T, dim).

        Raises:
            UserError: the waveform is too short for one frame.
            ConfigError: the parameters do not fit together, whatever the waveform.
        """


def extractor_key(extractor: Extractor) -> str:
    """The key of an extractor's name, version and resolved parameters."""
    return key_of(extractor.name, extractor.version, extractor.parameters)


def key_of(name: str, version: int, parameters: Mapping[str, Parameter], reading: int = READING) -> str:
    """SHA-256 (hex) of what decides the numbers, READING among it.

    Equal keys mean equal numbers, whichever way the parameters were written (512 or 512.0, null or
    its meaning).
    """
    numbers = {key: float(value) if isinstance(value, int) else value for key, value in parameters.items()}
    identity = {"name": name, "version": version, "parameters": numbers}
    if reading > 1:  # keys did not name the first
        identity["reading"] = reading
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def why_too_short(extractor: Extractor, samples: int) -> str:
    """Why a waveform of so many samples, at the extractor's rate, gives no features; nothing where it does."""
    shortest: int = getattr(extractor, "shortest", 0)
    if samples >= shortest:
        return ""
    rate = extractor.sample_rate
    return (
        f"{extractor.name}: {samples} samples ({samples / rate:.3f} s at {rate} Hz) are too short, at least {shortest} "
        f"samples ({shortest / rate:.3f} s) are needed"
    )


def check_length(extractor: Extractor, samples: int) -> None:
    """Raise UserError where a waveform of so many samples is too short."""
    if reason := why_too_short(extractor, samples):
        raise UserError(reason)
