"""A fitted linear support vector machine as plain arrays: saved without pickle, so that loading runs no code."""

import zipfile
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_lightning.errors import UserError
from ser_lightning.files import replacing

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PairwiseSVM:
    """Standardisation of D dimensions, then one hyperplane for each of the P = K (K - 1) / 2 pairs of classes.

    Pairs are ordered (0, 1), (0, 2), ..., (K - 2, K - 1); a positive margin speaks for the first class.
    """

    mean: Floats
    """(D,)"""
    scale: Floats
    """(D,)"""
    coefficients: Floats
    """(P, D)"""
    intercepts: Floats
    """(P,)"""

    @classmethod
    def of(cls, pipeline: Any) -> "PairwiseSVM":
        """From scikit-learn's fitted `StandardScaler` and `SVC(kernel="linear")`."""
        scaler, svc = pipeline[0], pipeline[-1]
        # scikit-learn turns the sign round for two classes, so that there a positive margin is the second one's.
        sign = -1.0 if len(svc.classes_) == 2 else 1.0
        return cls(scaler.mean_, scaler.scale_, sign * svc.coef_, sign * svc.intercept_)

    def logits(self, vectors: Floats) -> Floats:
        """(N, D) -> (N, K): pairs won, plus the sum s of a class's margins squeezed into s / (3 (|s| + 1)).

        As `SVC.decision_function` with one-vs-rest shape; for two classes, half the margin for and against each.
        """
        margins = (vectors - self.mean) / self.scale @ self.coefficients.T + self.intercepts
        sides = self._sides
        if len(self.intercepts) == 1:
            return np.asarray(margins * sides / 2)
        sums = margins @ sides
        # A pair is won by the side of its margin's sign: 1 for the winner, 0 for the loser and for all others.
        won = (margins >= 0) @ (sides > 0).astype(float) + (margins < 0) @ (sides < 0).astype(float)
        return np.asarray(won + sums / (3 * (np.abs(sums) + 1)))

    @property
    def _sides(self) -> Floats:
        """(P, K): 1 for the first class of each pair, -1 for the second."""
        pairs = len(self.intercepts)
        classes = round((1 + (1 + 8 * pairs) ** 0.5) / 2)
        sides = np.zeros((pairs, classes))
        for row, (first, second) in enumerate(combinations(range(classes), 2)):
            sides[row, [first, second]] = 1, -1
        return sides

    def write(self, path: Path) -> None:
        """Write an `.npz` file, whole or not at all."""
        with replacing(path) as temporary:
            np.savez(temporary, **asdict(self))

    @classmethod
    def read(cls, path: Path) -> "PairwiseSVM":
        """What `write` wrote. Raises UserError: it isn't there, or is broken."""
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**arrays)
        except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path}: cannot read the fitted model ({error}); remove the run's folder, train it again"
            ) from error
