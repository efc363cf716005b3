"""The support vector machine as plain arrays against scikit-learn's own decision values; what it refuses."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from ser_lightning.errors import UserError
from ser_lightning.models.linear_svm import LinearSVM
from ser_lightning.models.pairwise_svm import PairwiseSVM
from ser_lightning.models.stream import StreamShape

VECTOR = {"functionals": StreamShape(6, float("inf"), None)}


def blobs(classes: int) -> tuple[Any, Any]:
    """(80, 6) in overlapping clouds, of very different scales by dimension, one dimension constant; labels (80,)."""
    x, y = make_blobs(80, 6, centers=classes, cluster_std=6.0, random_state=classes)
    x[:, 5] = 3.0
    return x * [1e-3, 1, 1e3, 1e11, 1, 1] + 7, y


@pytest.mark.parametrize("classes", [3, 4, 8])
def test_logits_are_scikit_learns_decision_values(classes: int, tmp_path: Path) -> None:
    x, y = blobs(classes)
    model = LinearSVM(VECTOR, classes)
    model.fit(x[:60], y[:60], 0.1).write(tmp_path / "svm.npz")
    read = PairwiseSVM.read(tmp_path / "svm.npz")
    reference = model.candidate(0.1).fit(x[:60], y[:60])
    np.testing.assert_allclose(read.logits(x), reference.decision_function(x), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(read.logits(x).argmax(1), reference.predict(x))
    assert read.coefficients.size + read.intercepts.size == model.parameters


def test_two_classes_differ_by_the_decision_value() -> None:
    x, y = blobs(2)
    model = LinearSVM(VECTOR, 2)
    logits = model.fit(x[:60], y[:60], 0.1).logits(x)
    reference = model.candidate(0.1).fit(x[:60], y[:60])
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], reference.decision_function(x), rtol=0, atol=1e-9)
    np.testing.assert_array_equal(logits.argmax(1), reference.predict(x))


def test_three_pairs_by_hand() -> None:
    # Margins of the pairs 01, 02, 12 at the point (2, 3): 2, 3 - 4 = -1 and 2 - 3 = -1, so that 0, 2, 2 win.
    svm = PairwiseSVM(np.zeros(2), np.ones(2), np.array([[1.0, 0], [0, 1], [1, -1]]), np.array([0.0, -4, 0]))
    # Sums: class 0 has 2 - 1, class 1 has -2 - 1, class 2 has 1 + 1.
    expected = [1 + 1 / (3 * 2), 0 - 3 / (3 * 4), 2 + 2 / (3 * 3)]
    np.testing.assert_allclose(svm.logits(np.array([[2.0, 3.0]])), [expected], rtol=1e-12)


def test_balanced_weights_help_the_rare_class() -> None:
    # One dimension, clouds at 0 and 1, nineteen to one: without weights the rare class is not worth its errors.
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (190, 6)), rng.normal(0.5, 1, (10, 6))])
    y = np.repeat([0, 1], [190, 10])
    found = {
        weight: int(LinearSVM(VECTOR, 2, class_weight=weight).fit(x, y, 0.1).logits(x).argmax(1).sum())
        for weight in ("none", "balanced")
    }
    assert found["none"] == 0
    assert found["balanced"] > 20


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.npz: cannot read the fitted model"):
        PairwiseSVM.read(tmp_path / "none.npz")
    (tmp_path / "half.npz").write_bytes(b"PK\x03\x04half")
    with pytest.raises(UserError, match=r"half\.npz: cannot read"):
        PairwiseSVM.read(tmp_path / "half.npz")


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    objects = np.array([{"code": "would run"}], dtype=object)
    np.savez(tmp_path / "odd.npz", mean=objects, scale=objects, coefficients=objects, intercepts=objects)
    with pytest.raises(UserError, match=r"odd\.npz: cannot read"):
        PairwiseSVM.read(tmp_path / "odd.npz")


@pytest.mark.parametrize(
    ("keywords", "text"),
    [
        ({"costs": []}, r"model\.costs=\[\]"),
        ({"costs": [1.0, 0.0]}, r"model\.costs=.*above 0"),
        ({"costs": [float("inf")]}, r"model\.costs=.*finite"),
        ({"inner_folds": 1}, r"model\.inner_folds=1"),
        ({"stream": "other"}, "other"),
    ],
)
def test_settings_out_of_range_are_refused(keywords: dict[str, Any], text: str) -> None:
    with pytest.raises(UserError, match=text):
        LinearSVM(VECTOR, 4, **keywords)


@pytest.mark.parametrize("shape", [StreamShape(39, 0.01, None), StreamShape(88, float("inf"), 5)])
def test_a_stream_of_many_frames_is_refused(shape: StreamShape) -> None:
    with pytest.raises(UserError, match=r"one vector an utterance.*features=egemaps"):
        LinearSVM({"functionals": shape}, 4)


def test_without_scikit_learn_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.models.linear_svm.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'ser-lightning\[opensmile\]'"):
        LinearSVM(VECTOR, 4)


def test_fitting_warns_of_nothing() -> None:
    x, y = blobs(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LinearSVM(VECTOR, 3).fit(x, y, 10.0)
