"""A linear support vector machine on one vector an utterance: the yardstick of speech emotion recognition."""

import math
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ser_lightning.errors import UserError
from ser_lightning.models.pairwise_svm import Floats, PairwiseSVM
from ser_lightning.models.stream import StreamShape, pick


class LinearSVM:
    """Zero mean and unit variance a dimension, then scikit-learn's `SVC(kernel="linear")` for each pair of classes.

    Means and deviations are those of the utterances it is fitted on, also inside the inner folds.

    Args:
        stream: name of the stream it reads, of one frame an utterance.
        costs: candidates for C, the cost of margin errors.
        inner_folds: folds over training speakers on which the candidates are compared; null: five, or as many as there
            are speakers.
        class_weight: balanced multiplies C by N / (K * count) for each class, counted where it is fitted.

    Raises:
        UserError: there is no such stream or its utterances have many frames; no candidate or one that is not above
            0; fewer than two inner folds; scikit-learn is not installed.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamShape],
        num_classes: int,
        *,
        stream: str = "functionals",
        costs: list[float] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0],  # noqa: B006
        inner_folds: int | None = None,
        class_weight: Literal["none", "balanced"] = "balanced",
    ) -> None:
        if find_spec("sklearn") is None:
            raise UserError("the model `linear_svm` needs scikit-learn: pip install 'ser-lightning[opensmile]'")
        self.streams: tuple[str, ...] = (stream,)
        (shape,) = pick(streams, self.streams)
        if math.isfinite(shape.hop) or shape.frames not in (None, 1):
            raise UserError(
                f"linear_svm reads one vector an utterance, but `{stream}` has many frames; choose features=egemaps or "
                f"features=compare, with features.{stream}.frames=null"
            )
        if not costs or not all(0 < cost < math.inf for cost in costs):
            raise UserError(f"model.costs={costs}: give at least one candidate for C, each above 0 and finite")
        if inner_folds is not None and inner_folds < 2:
            raise UserError(f"model.inner_folds={inner_folds}: must be at least 2")
        self.costs, self.inner_folds = sorted(costs), inner_folds
        self.class_weight = None if class_weight == "none" else class_weight
        self.num_classes, self.dim = num_classes, shape.dim

    @property
    def parameters(self) -> int:
        """Coefficients and intercepts over all pairs of classes."""
        return math.comb(self.num_classes, 2) * (self.dim + 1)

    def candidate(self, cost: float) -> Any:
        """A pipeline of scikit-learn's, not fitted, to compare costs with."""
        from sklearn.metrics.pairwise import linear_kernel

        # The same kernel, by one product of matrices: with thousands of dimensions ten times as fast as libsvm's own.
        return self._pipeline(cost, linear_kernel)

    def fit(self, vectors: Floats, labels: NDArray[np.int64], cost: float) -> PairwiseSVM:
        """vectors (N, D), labels (N,) in 0..K-1, each at least once."""
        # Only with its own kernel does scikit-learn tell the hyperplanes.
        return PairwiseSVM.of(self._pipeline(cost, "linear").fit(vectors, labels))

    def _pipeline(self, cost: float, kernel: Any) -> Any:
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler
        from sklearn.svm import SVC

        # With its ties broken, what it decides is what its decision values say.
        svc = SVC(kernel=kernel, C=cost, class_weight=self.class_weight, break_ties=True)
        return make_pipeline(StandardScaler(), svc)
