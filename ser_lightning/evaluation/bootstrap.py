"""Intervals for scores by a bootstrap that resamples speakers: utterances of one speaker are not independent.

The interval is Student's: the bootstrap standard error times the t quantile with S - 1 degrees of freedom for S
speakers, on the logit scale, which keeps it within the range of the score. It was chosen by simulated coverage;
`benchmarks/interval_coverage.py` shows it beside plain percentiles, which are too short for few speakers. So were BCa
and, below six speakers, percentiles at the expanded level of Hesterberg (2015, "What Teachers Should Know About the
Bootstrap"); bootstrap-t was much wider there. What varies is who is tested: the trained models are taken as they are.
A system without one mistake gets an interval of no width, since no resample can show a mistake that was not made.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, stdtrit

from ser_lightning.errors import UserError
from ser_lightning.evaluation.pooled import counts_by_speaker
from ser_lightning.evaluation.predictions import Predictions

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

LEAST_SPEAKERS = 3
"""Fewer say nothing about speakers in general."""


def intervals(rows: Predictions, level: float = 0.95, draws: int = 10_000, seed: int = 0) -> dict[str, Interval | None]:
    """Of `uar`, `wa` and `macro_f1`, as fractions; None with fewer than three speakers. Rows of several seeds add."""
    return intervals_of_counts(counts_by_speaker(rows)[1], level, draws, seed)


def intervals_of_counts(
    counts: Counts, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> dict[str, Interval | None]:
    """The same from confusion matrices of speakers (S, K, K)."""
    if len(counts) < LEAST_SPEAKERS:
        return dict.fromkeys(FIGURES)
    weights = resamples(len(counts), draws, seed)
    return {
        name: _interval(figure(counts), figure(counts, weights), len(counts), level) for name, figure in FIGURES.items()
    }


def paired_intervals(
    a: Predictions, b: Predictions, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> dict[str, Interval | None]:
    """Of the differences a minus b in `uar` and `wa`: every resample holds the same speakers for both.

    Raises:
        UserError: the two differ in classes or speakers.
    """
    _, ours, theirs = paired_counts(a, b)
    return paired_intervals_of_counts(ours, theirs, level, draws, seed)


def paired_intervals_of_counts(
    ours: Counts, theirs: Counts, level: float = 0.95, draws: int = 10_000, seed: int = 0
) -> dict[str, Interval | None]:
    """The same from confusion matrices of the same speakers (S, K, K)."""
    figures = {name: FIGURES[name] for name in ("uar", "wa")}
    if len(ours) < LEAST_SPEAKERS:
        return dict.fromkeys(figures)
    weights = resamples(len(ours), draws, seed)
    found: dict[str, Interval | None] = {}
    for name, figure in figures.items():
        # A difference in [-1, 1] is moved to [0, 1]; its logit is then twice Fisher's z, the usual scale for it.
        point, resampled = ((1 + figure(ours, w) - figure(theirs, w)) / 2 for w in (None, weights))
        low, high = _interval(point, resampled, len(ours), level)
        found[name] = (2 * low - 1, 2 * high - 1)
    return found


def paired_counts(a: Predictions, b: Predictions) -> tuple[list[str], Counts, Counts]:
    """Speakers and their confusion matrices (S, K, K) in both systems.

    Raises:
        UserError: the two differ in classes or speakers.
    """
    if list(a.classes) != list(b.classes):
        raise UserError(f"systems of different classes cannot be compared: {list(a.classes)} and {list(b.classes)}")
    (speakers, ours), (others, theirs) = counts_by_speaker(a), counts_by_speaker(b)
    if speakers != others:
        alone = ", ".join(sorted(set(speakers) ^ set(others)))
        raise UserError(f"tested in one system only: speakers {alone}; compare results on the same test rows")
    return speakers, ours, theirs


def resamples(speakers: int, draws: int, seed: int) -> Floats:
    """How often each speaker stands in each resample (draws, S); every row sums to S."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(speakers, np.full(speakers, 1 / speakers), size=draws).astype(np.float64)


def uar(counts: Counts, weights: Floats | None = None) -> Floats:
    """UAR (B,) of speakers' confusion matrices (S, K, K) under weights (B, S), of each speaker once by default."""
    return _mean_of_ratios(_right(counts), counts.sum(2), weights)


def wa(counts: Counts, weights: Floats | None = None) -> Floats:
    """WA (B,), arguments as for `uar`."""
    return _mean_of_ratios(_right(counts).sum(1, keepdims=True), counts.sum((1, 2))[:, None], weights)


def macro_f1(counts: Counts, weights: Floats | None = None) -> Floats:
    """Macro-F1 (B,), arguments as for `uar`."""
    return _mean_of_ratios(2 * _right(counts), counts.sum(2) + counts.sum(1), weights)


FIGURES: dict[str, Callable[..., Floats]] = {"uar": uar, "wa": wa, "macro_f1": macro_f1}


def _right(counts: Counts) -> Counts:
    return counts.diagonal(axis1=1, axis2=2)


def _mean_of_ratios(numerators: Counts, denominators: Counts, weights: Floats | None) -> Floats:
    """Every score is a mean over classes of ratios of totals over speakers; classes that do not occur stay out."""
    weights = np.ones((1, len(numerators))) if weights is None else weights
    above, below = weights @ numerators, weights @ denominators
    occurs = below > 0
    ratios = np.divide(above, below, out=np.zeros_like(above), where=occurs)
    return np.asarray(ratios.sum(1) / occurs.sum(1), dtype=np.float64)


def _interval(point: Floats, resampled: Floats, speakers: int, level: float) -> Interval:
    p = float(point[0])
    if not 0 < p < 1:
        return p, p
    # Resamples of S speakers show only (S - 1) / S of the variance of their mean.
    error = float(resampled.std()) * np.sqrt(speakers / (speakers - 1))
    half = stdtrit(speakers - 1, (1 + level) / 2) * error / (p * (1 - p))
    return float(expit(logit(p) - half)), float(expit(logit(p) + half))
