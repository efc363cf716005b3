"""Levels of the mono mix that features are made of, and what is wrong with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser_lightning.corpora.utterance import Problem

Samples = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

NEAR_SILENT = 0.01
"""Departure from the mean, of full scale, below which a file counts as near-silent."""
LOUD, ABSURD = 4.0, 100.0
"""Peaks above full scale that a float file may have by accident, and that only another scale explains."""
OFFSET = 0.01
"""Mean, of full scale, above which a file has an offset, if it is also above a quarter of the deviation from it."""
CANCELLED = 0.25
"""Share of the power that channels of no likeness would leave in their mean (6 dB below it)."""
SILENCE = 1e-9
"""The same (90 dB below it) of channels of which nothing is left."""


@dataclass(frozen=True)
class Levels:
    """Of the mono mix, where 1 is full scale: least and greatest sample, mean, standard deviation.

    `kept` is its variance, divided by what it would be if the channels were alike in nothing (their mean variance by
    their number): 1 for those, more where they add up, near 0 where they cancel each other.
    """

    low: float
    high: float
    mean: float
    deviation: float
    kept: float

    @property
    def peak(self) -> float:
        return max(self.high, -self.low)

    @property
    def swing(self) -> float:
        """Greatest departure from the mean."""
        return max(self.high - self.mean, self.mean - self.low)


def mono(samples: Samples) -> Samples:
    """(N, channels) -> (N,): the mean over channels."""
    if samples.shape[1] == 1:
        return samples[:, 0]
    # numpy's mean along a short last axis takes several times as long.
    total = samples[:, 0].copy()
    for channel in range(1, samples.shape[1]):
        total += samples[:, channel]
    total /= samples.shape[1]
    return total


class Meter:
    """Levels of a file, measured a block at a time."""

    def __init__(self) -> None:
        self.frames = 0
        self._low = self._high = self._sum = self._power = 0.0
        self._channels: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = np.zeros((2, 0))

    def add(self, block: Samples) -> None:
        """Count a block (n, channels) in."""
        if not len(block):
            return
        mix = mono(block)
        low, high = float(mix.min()), float(mix.max())
        self._low, self._high = (min(self._low, low), max(self._high, high)) if self.frames else (low, high)
        exact = mix.astype(np.float64)
        self._sum += float(exact.sum())
        # A dot product would keep other threads busy for these few numbers.
        self._power += float(np.multiply(exact, exact, out=exact).sum())
        if block.shape[1] > 1:
            moments = np.stack([block.sum(0, dtype=np.float64), np.einsum("nc,nc->c", block, block, dtype=np.float64)])
            self._channels = moments + self._channels if self.frames else moments
        self.frames += len(block)

    @property
    def levels(self) -> Levels:
        """Of all that was counted."""
        if not self.frames:
            return Levels(0.0, 0.0, 0.0, 0.0, 1.0)
        mean = self._sum / self.frames
        variance = max(self._power / self.frames - mean**2, 0.0)
        sums, powers = self._channels / self.frames
        of_channels = float(np.maximum(powers - sums**2, 0).mean()) if len(sums) else 0.0
        kept = variance * len(sums) / of_channels if of_channels > 0 else 1.0
        return Levels(self._low, self._high, mean, variance**0.5, kept)


def problems(path: Path, levels: Levels) -> Iterator[Problem]:
    """What is wrong with a file's levels."""
    if levels.peak > ABSURD:
        yield Problem("scale", path, f"peaks at {levels.peak:.6g} times full scale; write its samples from -1 to 1")
    elif levels.peak > LOUD:
        yield Problem("loud", path, f"peaks at {levels.peak:.3g} times full scale; are its samples from -1 to 1?")
    if levels.kept < CANCELLED:
        weaker = f"{-10 * np.log10(max(levels.kept, SILENCE)):.0f} dB weaker than that of unlike channels"
        mean = weaker if levels.kept > SILENCE else "silent"
        yield Problem("cancelling", path, f"its channels cancel each other: their mean is {mean}")
    elif levels.swing < NEAR_SILENT:
        yield Problem("near_silent", path, f"peaks at {levels.swing:.4f} of full scale")
    if abs(levels.mean) > OFFSET and abs(levels.mean) > levels.deviation / 4:
        yield Problem("offset", path, f"its samples lie around {levels.mean:+.3f} of full scale, not around 0")
