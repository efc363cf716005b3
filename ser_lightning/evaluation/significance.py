"""Tests of whether two systems differ, each with what it assumes; which of them suits is up to the data."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest
from scipy.stats import t as student

from ser_lightning.errors import UserError
from ser_lightning.evaluation.bootstrap import Counts, Floats, paired_counts
from ser_lightning.evaluation.predictions import Predictions

MOST_EXACT = 16
"""Speakers up to which all 2^S swaps are counted."""
DRAWS = 20_000
"""Random swaps above that."""


@dataclass(frozen=True)
class Test:
    """A two-sided test."""

    name: str
    p: float | None
    """None where the test does not suit the data."""
    note: str
    """What the test assumes, or why it does not suit."""


def permutation_by_speaker(a: Predictions, b: Predictions, metric: Literal["uar", "wa"]) -> Test:
    """Paired permutation test on pooled rows: without a difference a speaker's outcomes could be of either system.

    The statistic is the absolute difference of the pooled metric. All 2^S swaps of whole speakers up to 16 speakers,
    else 20,000 random ones with p = (1 + hits) / (1 + draws) (Phipson & Smyth 2010). Where the systems differ in rows
    an utterance (seeds), their counts are averaged first.

    Raises:
        UserError: the two differ in classes or speakers.
    """
    name = f"permutation by speaker, {metric.upper()}"
    speakers, ours, theirs = paired_counts(a, b)
    true_a, true_b = ours.sum(2), theirs.sum(2)
    total_a, total_b = int(true_a.sum()), int(true_b.sum())
    if not np.array_equal(true_a * total_b, true_b * total_a):
        return Test(name, None, "does not suit: the systems were tested on different utterances of some speakers")
    # Brought to equal totals, the metric is linear in counts: a swap turns the sign of what the speaker adds.
    share = _shares(ours * total_b - theirs * total_a, true_a * total_b, metric)
    p, note = _sign_flips(share)
    if total_a != total_b:
        note += "; unequal numbers of seeds, averaged: takes the differences as symmetric where there is none"
    return Test(name, p, f"{len(speakers)} speakers taken as independent; {note}")


def _shares(difference: Counts, true: Counts, metric: Literal["uar", "wa"]) -> Floats:
    """What each speaker adds (S,) to the difference of the metric; `difference` (S, K, K), `true` (S, K)."""
    right, total = difference.diagonal(axis1=1, axis2=2), true.sum(0)
    if metric == "wa":
        return np.asarray(right.sum(1) / total.sum(), dtype=np.float64)
    occurs = total > 0
    return np.asarray((right[:, occurs] / total[occurs]).mean(1), dtype=np.float64)


def _sign_flips(share: Floats) -> tuple[float, str]:
    """p of |sum| over changes of sign, and how small it can be."""
    size = len(share)
    # Sums that are equal on paper differ by rounding.
    least = abs(share.sum()) - 1e-12 * np.abs(share).sum()
    if size <= MOST_EXACT:
        signs = (np.arange(2**size)[:, None] >> np.arange(size) & 1) * 2 - 1
        smallest = min(1.0, 2 / 2**size)
        return float((np.abs(signs @ share) >= least).mean()), f"all {2**size:,} swaps, so no p below {smallest:.2g}"
    signs = np.random.default_rng(0).integers(0, 2, (DRAWS, size)) * 2 - 1
    hits = int((np.abs(signs @ share) >= least).sum())
    return (1 + hits) / (1 + DRAWS), f"{DRAWS:,} random swaps, so no p below {1 / (1 + DRAWS):.2g}"


def corrected_resampled_t(differences: Sequence[float] | NDArray[np.float64], test_share: float) -> Test:
    """t test of differences (J,) over folds x seeds, its variance raised for trainings that share data.

    t = mean / sqrt((1 / J + n_test / n_train) variance), J - 1 degrees of freedom (Nadeau & Bengio 2003);
    `test_share` is n_test / n_train of a fold.

    Raises:
        ValueError: a difference is not finite or the share is negative.
    """
    name, values = "corrected resampled t", np.asarray(differences, dtype=np.float64)
    count = len(values)
    if not np.isfinite(values).all() or not test_share >= 0:
        raise ValueError(f"needs finite differences and a share of at least 0, not {values.tolist()} and {test_share}")
    if count < 2:
        return Test(name, None, f"does not suit: {count} fold x seed, needs two or more")
    note = f"{count} folds x seeds, test / train = {test_share:.3g}; takes the differences as normal"
    if np.ptp(values) == 0:
        return Test(name, None if values[0] else 1.0, f"all {count} differences are equal, so there is no variance")
    t = values.mean() / np.sqrt((1 / count + test_share) * values.var(ddof=1))
    return Test(name, float(2 * student.sf(abs(t), count - 1)), note)


def mcnemar(a: Predictions, b: Predictions) -> Test:
    """Exact binomial test on the utterances that one system alone has right (McNemar 1947).

    Raises:
        UserError: the two differ in utterances or labels.
    """
    name = "McNemar, exact"
    ours, theirs = _right_by_id(a), _right_by_id(b)
    if len(ours) < len(a.ids) or len(theirs) < len(b.ids):
        return Test(name, None, "does not suit: several decisions an utterance (seeds)")
    _same_utterances(a, b)
    only_a = sum(right and not theirs[key] for key, right in ours.items())
    only_b = sum(theirs[key] and not right for key, right in ours.items())
    p = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    return Test(name, float(p), f"{only_a} against {only_b} right alone; takes utterances as independent")


def _right_by_id(rows: Predictions) -> dict[str, bool]:
    return dict(zip(rows.ids, (rows.targets == rows.decisions).tolist(), strict=True))


def _same_utterances(a: Predictions, b: Predictions) -> None:
    ours, theirs = set(zip(a.ids, a.labels, strict=True)), set(zip(b.ids, b.labels, strict=True))
    if ours != theirs:
        alone = ", ".join(f"{key} ({label})" for key, label in sorted(ours ^ theirs)[:5])
        raise UserError(f"in one system only: {alone}; compare results on the same utterances with the same labels")


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p in the order given: step-down, so that the family's error stays below the level (Holm 1979).

    Raises:
        ValueError: a p outside [0, 1].
    """
    values = np.asarray(p, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"not probabilities: {values.tolist()}")
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1)
    return [float(value) for value in adjusted]
