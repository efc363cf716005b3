"""Whether a system's confidence can be believed: of decisions made with confidence 0.8, are 80 % right?

Confidence is the largest softmax probability (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 2).
Decision values, as a support vector machine's, claim no probability: what shows such a figure says so.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from ser_lightning.evaluation.predictions import Predictions


@dataclass(frozen=True)
class Bin:
    """Decisions with confidence in (lower, upper]; `confidence` and `accuracy` are means over them."""

    lower: float
    upper: float
    count: int
    confidence: float
    accuracy: float


def reliability(rows: Predictions, bins: int = 15) -> list[Bin]:
    """The bins of equal width that hold decisions, in ascending order.

    Raises:
        ValueError: no rows, or no bins.
    """
    if not len(rows.ids) or bins < 1:
        raise ValueError(f"needs rows and bins, not {len(rows.ids)} and {bins}")
    confidence, right = softmax(rows.logits, axis=1).max(1), rows.targets == rows.decisions
    edges = np.linspace(0, 1, bins + 1)
    # The sum of a softmax rounds: a confidence a hair above 1 belongs to the last bin.
    place = np.minimum(np.searchsorted(edges, confidence, side="left") - 1, bins - 1)
    return [
        Bin(
            float(edges[i]),
            float(edges[i + 1]),
            int((place == i).sum()),
            float(confidence[place == i].mean()),
            float(right[place == i].mean()),
        )
        for i in np.unique(place)
    ]


def expected_calibration_error(rows: Predictions, bins: int = 15) -> float:
    """Mean |accuracy - confidence| over bins, weighted by their decisions (Guo et al. 2017, equation 3); a fraction.

    Raises:
        ValueError: no rows, or no bins.
    """
    found = reliability(rows, bins)
    return sum(bin.count * abs(bin.accuracy - bin.confidence) for bin in found) / len(rows.ids)
