"""Calibration error against torchmetrics and by hand."""

import numpy as np
import pytest
import torch
from numpy.typing import ArrayLike
from torchmetrics.classification import MulticlassCalibrationError

from ser_lightning.evaluation.calibration import Bin, expected_calibration_error, reliability
from ser_lightning.evaluation.predictions import Predictions


def table(classes: list[str], labels: list[str], logits: ArrayLike) -> Predictions:
    size = len(labels)
    logits = np.array(logits, dtype=np.float64).reshape(size, len(classes))
    return Predictions(classes, [str(i) for i in range(size)], ["s"] * size, ["test"] * size, labels, logits)


@pytest.mark.parametrize("bins", [1, 5, 15, 40])
@pytest.mark.parametrize("classes", [2, 7])
def test_against_torchmetrics(bins: int, classes: int) -> None:
    rng = np.random.default_rng(bins)
    logits, targets = rng.normal(0, 2, (500, classes)), rng.integers(0, classes, 500)
    targets = np.where(rng.random(500) < 0.5, logits.argmax(1), targets)
    names = [str(i) for i in range(classes)]
    rows = table(names, [names[i] for i in targets], logits)
    metric = MulticlassCalibrationError(num_classes=classes, n_bins=bins, norm="l1")
    expected = metric(torch.from_numpy(logits).softmax(1), torch.from_numpy(targets)).item()
    assert expected_calibration_error(rows, bins) == pytest.approx(expected, abs=1e-6)


def test_by_hand() -> None:
    # Confidences 0.6 (right), 0.7 (wrong) in (0.5, 0.75], 0.9 (right), 0.9 (right) in (0.75, 1].
    rows = table(["a", "b"], ["a", "a", "b", "a"], np.log([[0.6, 0.4], [0.3, 0.7], [0.1, 0.9], [0.9, 0.1]]))
    first, second = reliability(rows, bins=4)
    assert (first.lower, first.upper, first.count, first.accuracy) == (0.5, 0.75, 2, 0.5)
    assert first.confidence == pytest.approx(0.65)
    assert (second.count, second.accuracy) == (2, 1.0)
    assert expected_calibration_error(rows, bins=4) == pytest.approx((2 * 0.15 + 2 * 0.1) / 4)


def test_certainty_belongs_to_the_last_bin_and_an_edge_to_the_lower_one() -> None:
    with np.errstate(divide="ignore"):
        certain = table(["a", "b"], ["a", "b"], np.log([[1.0, 0.0], [1.0, 0.0]]))
    assert reliability(certain, bins=10) == [Bin(0.9, 1.0, 2, 1.0, 0.5)]
    edge = table(["a", "b"], ["a"], np.log([[0.5, 0.5]]))
    assert reliability(edge, bins=2) == [Bin(0.0, 0.5, 1, 0.5, 1.0)]


def test_shifting_logits_changes_nothing_and_large_ones_do_not_overflow() -> None:
    rows = table(["a", "b"], ["a", "b"], np.log([[0.8, 0.2], [0.6, 0.4]]))
    moved = Predictions(rows.classes, rows.ids, rows.speakers, rows.parts, rows.labels, rows.logits + 5000)
    assert expected_calibration_error(moved) == pytest.approx(expected_calibration_error(rows))


def test_confidence_that_is_right_as_often_as_it_says_has_no_error() -> None:
    rows = table(["a", "b"], ["a"] * 3 + ["b"], np.log([[0.75, 0.25]] * 4))
    assert expected_calibration_error(rows) == pytest.approx(0)


def test_nothing_to_measure_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs rows and bins"):
        expected_calibration_error(table(["a", "b"], [], []))
    with pytest.raises(ValueError, match="needs rows and bins"):
        reliability(table(["a", "b"], ["a"], np.log([[0.5, 0.5]])), bins=0)
