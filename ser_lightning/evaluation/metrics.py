"""Scores of a confusion matrix. Everything comes from counts over a whole part, never from averages of batches."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scores:
    """Unrounded fractions. `confusion[i][j]` counts utterances of class i predicted as class j."""

    n: int
    uar: float
    """UA: mean of per-class recalls over the classes that occur (scikit-learn's balanced accuracy)."""
    wa: float
    """WA: share of utterances that are right."""
    macro_f1: float
    """Mean F1 over the classes that occur or are predicted (scikit-learn's macro average)."""
    recall: dict[str, float | None]
    """Per class; None where the class does not occur."""
    confusion: list[list[int]]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def scores(confusion: NDArray[np.int64], classes: Sequence[str]) -> Scores:
    """Scores of counts (K, K), true class by row, predicted class by column.

    Raises:
        ValueError: no utterance was counted.
    """
    support, predicted, right = confusion.sum(1), confusion.sum(0), confusion.diagonal()
    if support.sum() == 0:
        raise ValueError("no utterance to score")
    recall = right[support > 0] / support[support > 0]
    seen = (support + predicted) > 0
    f1 = 2 * right[seen] / (support + predicted)[seen]
    return Scores(
        n=int(support.sum()),
        uar=float(recall.mean()),
        wa=float(right.sum() / support.sum()),
        macro_f1=float(f1.mean()),
        recall={name: float(right[i] / support[i]) if support[i] else None for i, name in enumerate(classes)},
        confusion=[[int(count) for count in row] for row in confusion],
    )


def confusion_matrix(labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Counts (K, K) of true (N,) against predicted (N,) class numbers."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)
