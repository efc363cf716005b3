"""openSMILE functionals: one vector an utterance, of statistics over its frames."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import check_length

if TYPE_CHECKING:
    from torch import Tensor

    from ser_lightning.features.extractor import Parameter

_DIMS = {"eGeMAPSv02": 88, "ComParE_2016": 6373}
_LONGEST_FRAME = 60
"""Milliseconds, in both sets that of pitch."""


@lru_cache
def _opensmile_version() -> str:
    """Raises UserError: it isn't installed."""
    try:
        return metadata.version("opensmile")
    except metadata.PackageNotFoundError as error:
        raise UserError(
            "features of the extractor `functionals` need the package opensmile: pip install 'ser-lightning[opensmile]'"
        ) from error


@lru_cache
def _smile(feature_set: str) -> Any:
    import opensmile

    return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel.Functionals)


@dataclass(frozen=True)
class Functionals:
    """The functionals of a standard feature set, as the package opensmile computes them: T = 1 frame an utterance.

    Nothing is normalised, and values of some functionals reach 1e12. The release of opensmile is part of the key.
    Source: Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS) for voice research and affective
    computing", IEEE TAC 2016; Weninger et al., "On the acoustics of emotion in audio", Frontiers in Psychology 2013
    (ComParE).

    Raises:
        UserError: opensmile is not installed, or parameters are outside their ranges (at construction); a waveform
            too short for openSMILE's longest frame (at extraction).
    """

    name: ClassVar[str] = "functionals"
    version: ClassVar[int] = 1
    spectrogram: ClassVar[bool] = False

    feature_set: Literal["eGeMAPSv02", "ComParE_2016"] = "eGeMAPSv02"
    """Which functionals: the 88 of eGeMAPS v02, or the 6373 of the Interspeech 2016 ComParE challenge."""

    sample_rate: int = 16000
    """Rate to which audio is brought first (Hz)."""

    def __post_init__(self) -> None:
        if self.feature_set not in _DIMS:
            raise UserError(f"functionals: feature_set={self.feature_set} must be one of {', '.join(_DIMS)}")
        if self.sample_rate < 1:
            raise UserError(f"functionals: sample_rate={self.sample_rate} must be at least 1")
        _opensmile_version()

    @property
    def dim(self) -> int:
        return _DIMS[self.feature_set]

    @property
    def hop_seconds(self) -> float:
        """Infinite: no other frame follows."""
        return float("inf")

    @property
    def parameters(self) -> dict[str, Parameter]:
        return asdict(self) | {"opensmile": _opensmile_version()}

    @property
    def shortest(self) -> int:
        return -(-self.sample_rate * _LONGEST_FRAME // 1000)

    def extract(self, waveform: Tensor) -> Tensor:
        """float32 (N,) in [-1, 1] -> float32 (1, dim)."""
        import torch

        check_length(self, waveform.numel())
        found = _smile(self.feature_set)(waveform.numpy(), self.sample_rate)
        return torch.from_numpy(found).float().reshape(1, -1)
