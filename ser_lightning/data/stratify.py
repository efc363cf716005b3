"""Groups dealt so that parts resemble the corpus: greedy, since the best deal is a bin-packing problem."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Group = frozenset[str]
Shares = NDArray[np.float64]
"""(K + 1,) of a group or a part: its share of the corpus's utterances of each class, and of all utterances."""


class Labelled(Protocol):
    """Who says what class."""

    @property
    def speaker(self) -> str: ...
    @property
    def label(self) -> str: ...


def even(rows: Sequence[Labelled], units: Sequence[Group], k: int) -> list[list[Group]]:
    """k folds, close in size and in class shares; none is empty if there are k groups.

    From the largest group on, each goes where the folds' sum of squared shares grows least: squares are smallest
    where shares are equal. Among equals the order of `units` decides.
    """
    shares = dict(zip(units, _shares(rows, units), strict=True))
    folds: list[list[Group]] = [[] for _ in range(k)]
    held = np.zeros((k, len(next(iter(shares.values())))))
    for unit in sorted(units, key=lambda unit: -shares[unit][-1]):
        fold = int((held @ shares[unit]).argmin())
        folds[fold].append(unit)
        held[fold] += shares[unit]
    return folds


def alike(rows: Sequence[Labelled], units: Sequence[Group], counts: Iterable[int]) -> list[Group]:
    """`units` in another order: the first `counts[0]` make one part that resembles the corpus, the next the second.

    The first group of a part is the first that is left; each further one brings the part's shares closest to those
    of an average part of its size.
    """
    shares = dict(zip(units, _shares(rows, units), strict=True))
    left, order = list(units), list[Group]()
    for count in counts:
        held = np.zeros(1)
        for size in range(1, min(count, len(left)) + 1):
            far = [float(np.square(held + shares[unit] - size / len(units)).sum()) for unit in left]
            chosen = left.pop(0 if size == 1 else int(np.argmin(far)))
            held = held + shares[chosen]
            order.append(chosen)
    return order + left


def _shares(rows: Sequence[Labelled], units: Sequence[Group]) -> list[Shares]:
    home = {speaker: i for i, unit in enumerate(units) for speaker in unit}
    classes = {label: i for i, label in enumerate(sorted({row.label for row in rows}))}
    counts = np.zeros((len(units), len(classes)))
    np.add.at(counts, ([home[row.speaker] for row in rows], [classes[row.label] for row in rows]), 1.0)
    together = np.concatenate([counts, counts.sum(1, keepdims=True)], axis=1)
    return list(together / together.sum(0))
