"""SpecAugment (Park et al., Interspeech 2019) for utterances seen at several resolutions."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masks:
    """Starts and ends (B, masks, 2), as shares of each utterance's own length and of the mel axis.

    One draw serves all resolutions: a part hidden in one would else be seen in the other.
    """

    time: Tensor
    mel: Tensor

    @classmethod
    def draw(
        cls, utterances: int, time_masks: int, time_fraction: float, mel_masks: int, mel_fraction: float
    ) -> "Masks":
        """Widths uniform from 0 to the fraction, places uniform over what is left. No time warp."""
        return cls(_spans(utterances, time_masks, time_fraction), _spans(utterances, mel_masks, mel_fraction))

    def apply(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Set what is masked of a normalised spectrogram (B, T, D), lengths (B,), to 0, its mean."""
        frames = (torch.arange(x.shape[1], device=x.device) + 0.5) / lengths[:, None]
        bands = ((torch.arange(x.shape[2], device=x.device) + 0.5) / x.shape[2]).expand(len(x), -1)
        hidden = _within(frames, self.time)[:, :, None] | _within(bands, self.mel)[:, None, :]
        return x.masked_fill(hidden, 0.0)


def _spans(utterances: int, count: int, fraction: float) -> Tensor:
    widths = fraction * torch.rand(utterances, count)
    starts = (1 - widths) * torch.rand(utterances, count)
    return torch.stack([starts, starts + widths], dim=2)


def _within(centres: Tensor, spans: Tensor) -> Tensor:
    """Whether each centre (B, n) lies in one of its utterance's spans (B, masks, 2): (B, n)."""
    starts, ends = spans.to(centres.device).unbind(2)
    inside = (centres[:, :, None] >= starts[:, None]) & (centres[:, :, None] < ends[:, None])
    return inside.any(2)


def spec_augment(features: Mapping[str, Tensor], lengths: Mapping[str, Tensor], masks: Masks) -> dict[str, Tensor]:
    """The same masks on each of the spectrograms."""
    return {name: masks.apply(x, lengths[name]) for name, x in features.items()}
