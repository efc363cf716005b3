"""Log-mel spectrograms as librosa defines them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import check_length
from ser_lightning.features.mel import mel_power, slaney_bank

if TYPE_CHECKING:
    from torch import Tensor

    from ser_lightning.features.extractor import Parameter


@lru_cache
def _window(n_fft: int, scale: float) -> Tensor:
    import torch

    return torch.hann_window(n_fft) * scale


@dataclass(frozen=True)
class LogMel:
    """Mel-spectrogram in decibels, `10 log10(max(power, floor))`.

    Periodic Hann window of `n_fft` samples, frames centred on multiples of `hop` with reflected edges, power
    spectrum, Slaney mel scale and area norm. N samples give T = 1 + N // hop frames. The power agrees with
    `librosa.feature.melspectrogram(y=scale * waveform, sr=sample_rate, n_fft=n_fft, hop_length=hop,
    n_mels=n_mels, fmin=fmin, fmax=fmax, pad_mode="reflect")` in float64, to 1e-4 of itself plus 1e-8 of the
    frame's loudest band. librosa's default padding is another, zeros (`pad_mode="constant"`): with that only
    frames that lie whole within the waveform agree, centred n_fft / 2 samples or more from both of its ends.

    Raises:
        UserError: parameters outside their ranges (at construction); a mel filter without any FFT bin
            (a ConfigError), or a waveform too short to be reflected (at extraction).
    """

    name: ClassVar[str] = "log_mel"
    version: ClassVar[int] = 1
    spectrogram: ClassVar[bool] = True

    sample_rate: int = 16000
    """Rate to which audio is brought first (Hz)."""

    n_fft: int = 512
    """Window and FFT length (samples)."""

    hop: int = 256
    """Step from one frame to the next (samples)."""

    n_mels: int = 128
    """Mel bands, the features a frame."""

    fmin: float = 0.0
    """Lower edge of the first band (Hz)."""

    fmax: float | None = None
    """Upper edge of the last band (Hz); null is half the sample rate."""

    floor: float | None = None
    """Least power before the logarithm; null is 1 at the levels of 16-bit integers, (scale / 32768)^2 at others. Far
    lower, digital silence becomes a feature: a recording and its copy in 16 bits then differ by tens of decibels."""

    scale: float = 32768.0
    """Factor on the samples, which read from -1 to 1; 32768 gives the levels of 16-bit integers."""

    def __post_init__(self) -> None:
        for field in ("sample_rate", "n_fft", "hop", "n_mels", "floor", "scale"):
            value = getattr(self, field)
            if value is not None and value <= 0:
                raise UserError(f"log_mel: {field}={value} must be above 0")
        if not 0 <= self.fmin < self.upper_edge <= self.sample_rate / 2:
            raise UserError(
                f"log_mel: 0 <= fmin < fmax <= sample_rate/2 does not hold for fmin={self.fmin}, "
                f"fmax={self.upper_edge}, sample_rate={self.sample_rate}"
            )

    @property
    def upper_edge(self) -> float:
        """Upper edge of the last band (Hz)."""
        return self.sample_rate / 2 if self.fmax is None else self.fmax

    @property
    def least_power(self) -> float:
        """`floor`, or its default at this scale."""
        return (self.scale / 32768) ** 2 if self.floor is None else self.floor

    @property
    def dim(self) -> int:
        return self.n_mels

    @property
    def hop_seconds(self) -> float:
        return self.hop / self.sample_rate

    @property
    def parameters(self) -> dict[str, Parameter]:
        return asdict(self) | {"fmax": self.upper_edge, "floor": self.least_power}

    @property
    def shortest(self) -> int:
        return self.n_fft // 2 + 1

    def extract(self, waveform: Tensor) -> Tensor:
        """float32 (N,) in [-1, 1] -> float32 (1 + N // hop, n_mels), decibels."""
        import torch

        check_length(self, waveform.numel())
        reach = self.n_fft // 2
        # torch's own padding by reflection takes as long as all the Fourier transforms.
        reflected = torch.cat([waveform[1 : reach + 1].flip(0), waveform, waveform[-reach - 1 : -1].flip(0)])
        frames = reflected.unfold(0, self.n_fft, self.hop) * _window(self.n_fft, self.scale)
        bank = slaney_bank(self.sample_rate, self.n_fft, self.n_mels, self.fmin, self.upper_edge)
        return mel_power(torch.fft.rfft(frames), bank).clamp_(min=self.least_power).log10_().mul_(10)
