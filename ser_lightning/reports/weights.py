"""Weights of late fusion: z = sum_m w_m z_m over the members' logits, w on the simplex."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from math import comb

import numpy as np
from numpy.typing import NDArray

from ser_lightning.errors import ConfigError
from ser_lightning.evaluation.metrics import Scores
from ser_lightning.evaluation.predictions import Predictions

MOST = 2_000
"""Grid points that are tried for a fold; each scores the whole validation part."""
DIGITS = 12
"""Figures that differ beyond are equal: the same recalls, summed in another order."""


@dataclass(frozen=True)
class Chosen:
    """Weights (M,) that sum to 1, and the validation UAR of the fusion."""

    weights: tuple[float, ...]
    validation_uar: float


def fused(members: Sequence[Predictions], weights: Sequence[float]) -> Predictions:
    """Weighted sum of raw logits; rows of all members in the same order."""
    first = members[0]
    logits: NDArray[np.float64] = np.tensordot(np.array(weights), np.stack([m.logits for m in members]), axes=1)
    return Predictions(first.classes, first.ids, first.speakers, first.parts, first.labels, logits)


def given(weights: Sequence[float], members: int) -> tuple[float, ...]:
    """Weights that a person fixed.

    Raises:
        ConfigError: not one a member, one is negative, or they don't sum to 1.
    """
    if len(weights) != members:
        raise ConfigError(f"weights={list(weights)}: {members} members need as many weights, not {len(weights)}")
    if not all(weight >= 0 for weight in weights) or abs(sum(weights) - 1) > 1e-6:
        raise ConfigError(f"weights={list(weights)}: must be 0 or more and sum to 1")
    return tuple(float(weight) for weight in weights)


def parts_of(step: float, members: int) -> int:
    """1 / step, when the grid of that step is one that can be searched.

    Raises:
        ConfigError: the step does not divide 1, or the grid has more than `MOST` points.
    """
    parts = round(1 / step) if 0 < step <= 1 else 0
    if parts == 0 or abs(parts * step - 1) > 1e-9:
        raise ConfigError(f"step={step}: must divide 1, such as 0.05 or 0.1")
    if (found := points(parts, members)) > MOST:
        raise ConfigError(
            f"step={step}: {found} points of weights for {members} members, more than {MOST}; "
            "take a greater step, or fix weights=[...]"
        )
    return parts


def points(parts: int, members: int) -> int:
    """Weightings that `choose` tries: ways to deal `parts` to the members."""
    return comb(parts + members - 1, members - 1)


def choose(validation: Sequence[Predictions], parts: int) -> Chosen:
    """The grid point of highest validation UAR.

    Of equal UAR the one of higher WA, then the one nearest to equal weights, then the one with the greater weight on
    the member named first.
    """
    grid = _grid(len(validation), parts)
    scored = ((point, fused(validation, [k / parts for k in point]).scores()) for point in grid)
    best, scores = max(scored, key=lambda one: _merit(*one))
    return Chosen(tuple(k / parts for k in best), scores.uar)


def _merit(point: Sequence[int], scores: Scores) -> tuple[float, float, int, Sequence[int]]:
    """Distance to equal weights in whole numbers, so that ties are ties."""
    spread = sum((len(point) * k - sum(point)) ** 2 for k in point)
    return round(scores.uar, DIGITS), round(scores.wa, DIGITS), -spread, point


def _grid(members: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to deal `parts` to the members: bars between stars."""
    slots = parts + members - 1
    for bars in combinations(range(slots), members - 1):
        ends = (-1, *bars, slots)
        yield tuple(b - a - 1 for a, b in pairwise(ends))
