"""Scores against scikit-learn and torchmetrics, and against counts done by hand."""

from pathlib import Path

import numpy as np
import pytest

from ser_lightning.evaluation.metrics import confusion_matrix, scores
from ser_lightning.evaluation.pictures import confusion_png

CLASSES = ["a", "b", "c"]


def test_by_hand() -> None:
    # a: 3 of 4 right, b: 1 of 2, c: 0 of 1 (taken for a).
    found = scores(np.array([[3, 1, 0], [1, 1, 0], [1, 0, 0]]), CLASSES)
    assert found.n == 7
    assert found.wa == 4 / 7
    assert found.uar == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert found.recall == {"a": 0.75, "b": 0.5, "c": 0.0}
    assert found.macro_f1 == pytest.approx((6 / 9 + 2 / 4 + 0) / 3)


@pytest.mark.parametrize("seed", range(5))
def test_against_scikit_learn(seed: int) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, predicted = rng.integers(0, 3, 50), rng.integers(0, 3, 50)
    found = scores(confusion_matrix(labels, predicted, 3), CLASSES)
    assert found.confusion == reference.confusion_matrix(labels, predicted).tolist()
    assert found.uar == pytest.approx(reference.balanced_accuracy_score(labels, predicted))
    assert found.wa == pytest.approx(reference.accuracy_score(labels, predicted))
    assert found.macro_f1 == pytest.approx(reference.f1_score(labels, predicted, average="macro"))


def test_a_class_that_does_not_occur_has_no_recall_and_does_not_count() -> None:
    found = scores(np.array([[2, 0, 0], [1, 1, 0], [0, 0, 0]]), CLASSES)
    assert found.recall["c"] is None
    assert found.uar == pytest.approx((1 + 0.5) / 2)


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no utterance"):
        scores(np.zeros((3, 3), dtype=np.int64), CLASSES)


def test_a_picture_of_classes_with_dollar_signs(tmp_path: Path) -> None:
    classes = ["$x_1$", r"$\bad{$", "5 $"]
    confusion_png(tmp_path / "confusion.png", scores(np.eye(3, dtype=np.int64), classes), classes, r"run $\bad{$")
    assert (tmp_path / "confusion.png").read_bytes().startswith(b"\x89PNG")
