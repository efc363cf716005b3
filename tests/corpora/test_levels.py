"""Levels of the mono mix against closed forms: a sine's deviation is its amplitude by the root of two."""

import math
from pathlib import Path

import numpy as np
import pytest

from ser_lightning.corpora.levels import Meter, Samples, mono, problems

TONE = np.sin(2 * np.pi * np.arange(8000) / 80)  # whole periods: mean 0, from -1 to 1
OTHER = np.cos(2 * np.pi * np.arange(8000) / 100)  # unlike it: their product has mean 0


def channels(*values: np.ndarray) -> Samples:  # type: ignore[type-arg]
    return np.stack(values, axis=1).astype(np.float32)


def kinds(samples: Samples) -> list[str]:
    meter = Meter()
    for start in range(0, len(samples), 3000):
        meter.add(samples[start : start + 3000])
    return [problem.kind for problem in problems(Path("a.wav"), meter.levels)]


def test_a_tone_around_an_offset() -> None:
    meter = Meter()
    meter.add(channels(0.5 * TONE + 0.25, 0.3 * TONE + 0.25))
    levels = meter.levels
    assert levels.mean == pytest.approx(0.25, abs=1e-6)
    assert levels.deviation == pytest.approx(0.4 / math.sqrt(2), abs=1e-6)
    assert (levels.low, levels.high) == pytest.approx((-0.15, 0.65), abs=1e-6)
    assert (levels.peak, levels.swing) == pytest.approx((0.65, 0.4), abs=1e-6)
    # Variance 0.4^2 / 2 where unlike channels would leave the mean of 0.5^2 / 2 and 0.3^2 / 2, by two.
    assert levels.kept == pytest.approx(0.16 / 0.085, abs=1e-5)


def test_the_mix_is_the_mean_over_channels() -> None:
    samples = np.random.default_rng(0).uniform(-1, 1, (50, 3)).astype(np.float32)
    np.testing.assert_allclose(mono(samples), samples.mean(axis=1), atol=1e-7)
    assert mono(samples[:, :1]).shape == (50,)


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        (channels(0.5 * TONE), []),
        (channels(0.5 * TONE, 0.5 * OTHER), []),
        (channels(0.5 * TONE, 0 * TONE), []),
        (channels(0.5 * TONE, -0.2 * TONE), []),
        (channels(0.5 * TONE, -0.5 * TONE), ["cancelling"]),
        (channels(0.5 * TONE, -0.4 * TONE), ["cancelling"]),
        (channels(TONE, -TONE, OTHER, -OTHER), ["cancelling"]),
        (channels(0.5 * TONE + 0.1, -0.5 * TONE + 0.1), ["cancelling", "offset"]),
        (channels(32_768 * TONE, -32_768 * TONE), ["cancelling"]),
        (channels(0 * TONE), ["near_silent"]),
        (channels(0.009 * TONE), ["near_silent"]),
        (channels(0.011 * TONE), []),
        (channels(0.015 * TONE, 0 * TONE), ["near_silent"]),
        (channels(0.009 * TONE + 0.05), ["near_silent", "offset"]),
        (channels(0 * TONE + 0.3), ["near_silent", "offset"]),
        (channels(0.2 * TONE + 0.05), ["offset"]),
        (channels(0.2 * TONE - 0.05), ["offset"]),
        (channels(0.9 * TONE + 0.05), []),
        (channels(0.02 * TONE + 0.009), []),
        (channels(3.99 * TONE), []),
        (channels(4.01 * TONE), ["loud"]),
        (channels(99 * TONE), ["loud"]),
        (channels(101 * TONE), ["scale"]),
        (channels(32_767 * TONE), ["scale"]),
        (channels(7.9 * TONE, 0 * TONE), []),
    ],
)
def test_what_is_wrong_with_a_mix(samples: Samples, found: list[str]) -> None:
    assert kinds(samples) == found


def test_only_another_scale_is_fatal_and_the_number_is_told() -> None:
    meter = Meter()
    meter.add(channels(32_000 * TONE))
    (problem,) = problems(Path("a.wav"), meter.levels)
    assert problem.fatal and "32000 times full scale" in problem.detail
    meter = Meter()
    meter.add(channels(5 * TONE))
    (problem,) = problems(Path("a.wav"), meter.levels)
    assert not problem.fatal and "5 times full scale" in problem.detail
