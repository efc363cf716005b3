"""Rows of folds and seeds in one table, and their counts by speaker."""

from pathlib import Path

import numpy as np
import pytest

from ser_lightning.errors import UserError
from ser_lightning.evaluation.pooled import Pooled, counts_by_speaker
from ser_lightning.evaluation.predictions import Predictions

CLASSES = ["a", "b", "c"]


def fold(number: int, size: int, classes: list[str] = CLASSES) -> Predictions:
    rng = np.random.default_rng(number)
    labels = [classes[i] for i in rng.integers(0, len(classes), size)]
    ids = [f"f{number}_{i}" for i in range(size)]
    speakers = [f"s{number}{'xy'[i % 2]}" for i in range(size)]
    return Predictions(classes, ids, speakers, ["test"] * size, labels, rng.normal(size=(size, len(classes))))


@pytest.fixture
def pooled() -> Pooled:
    return Pooled.of([(1, 7, fold(1, 4)), (0, 7, fold(0, 3)), (0, 3, fold(2, 5))])


def test_places_and_rows_of_a_place(pooled: Pooled) -> None:
    assert pooled.places == [(0, 3), (0, 7), (1, 7)]
    assert pooled.at(0, 7).ids == ["f0_0", "f0_1", "f0_2"]
    assert np.array_equal(pooled.at(1, 7).logits, fold(1, 4).logits)
    assert len(pooled.at(1, 3).ids) == 0


def test_round_trip_is_exact(pooled: Pooled, tmp_path: Path) -> None:
    pooled.write(tmp_path / "p.csv")
    read = Pooled.read(tmp_path / "p.csv")
    assert np.array_equal(read.rows.logits, pooled.rows.logits)
    assert (read.folds.tolist(), read.seeds.tolist()) == ([1] * 4 + [0] * 8, [7] * 7 + [3] * 5)
    assert (read.rows.ids, read.rows.speakers) == (pooled.rows.ids, pooled.rows.speakers)


def test_predictions_of_one_run_are_refused(tmp_path: Path) -> None:
    fold(0, 3).write(tmp_path / "p.csv")
    with pytest.raises(UserError, match="fold and seed"):
        Pooled.read(tmp_path / "p.csv")


def test_folds_of_different_classes_do_not_pool() -> None:
    with pytest.raises(UserError, match="different classes"):
        Pooled.of([(0, 0, fold(0, 3)), (1, 0, fold(1, 3, ["a", "b", "d"]))])


def test_counts_by_speaker_are_confusion_matrices_of_their_rows(pooled: Pooled) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    rows = pooled.rows
    speakers, counts = counts_by_speaker(rows)
    assert speakers == ["s0x", "s0y", "s1x", "s1y", "s2x", "s2y"]
    predicted = [CLASSES[i] for i in rows.logits.argmax(1)]
    for speaker, found in zip(speakers, counts, strict=True):
        own = [i for i, name in enumerate(rows.speakers) if name == speaker]
        pairs = [rows.labels[i] for i in own], [predicted[i] for i in own]
        assert found.tolist() == reference.confusion_matrix(*pairs, labels=CLASSES).tolist()
