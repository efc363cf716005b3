"""The summary of a cross-validation against scikit-learn on the pooled rows and Python's statistics over the folds."""

import json
import statistics

import numpy as np
import pytest

from ser_lightning.evaluation.bootstrap import intervals
from ser_lightning.evaluation.calibration import expected_calibration_error
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import early, summarise

CLASSES = ["a", "b", "c"]


def rows_of(fold: int, seed: int, speakers: int = 2) -> Predictions:
    """Test rows of a fold; its speakers are its own, the same in every seed."""
    size = 12 + 3 * fold
    labels = [CLASSES[i] for i in np.random.default_rng(fold).integers(0, 3, size)]
    logits = np.random.default_rng((fold, seed)).normal(size=(size, 3))
    names = [f"s{fold}{i % speakers}" for i in range(size)]
    return Predictions(CLASSES, [f"{fold}_{i}" for i in range(size)], names, ["test"] * size, labels, logits)


@pytest.fixture
def pooled() -> Pooled:
    return Pooled.of([(fold, seed, rows_of(fold, seed)) for seed in (0, 1) for fold in (0, 1, 2)])


def test_pooled_scores_are_of_all_rows_in_one_table(pooled: Pooled) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    found, true, decided = summarise(pooled), pooled.rows.targets, pooled.rows.decisions
    assert found["n"] == 2 * (12 + 15 + 18)
    assert found["uar"] == pytest.approx(reference.balanced_accuracy_score(true, decided))
    assert found["wa"] == pytest.approx(reference.accuracy_score(true, decided))
    assert found["macro_f1"] == pytest.approx(reference.f1_score(true, decided, average="macro"))
    assert found["confusion"] == reference.confusion_matrix(true, decided).tolist()
    recall = reference.recall_score(true, decided, average=None)
    assert found["recall"] == pytest.approx(dict(zip(CLASSES, recall, strict=True)))
    assert found["ece"] == expected_calibration_error(pooled.rows)
    assert found["interval"] == {name: list(pair or ()) for name, pair in intervals(pooled.rows).items()}


def test_mean_and_deviation_are_over_folds_and_seeds(pooled: Pooled) -> None:
    reference = pytest.importorskip("sklearn.metrics")
    places = [rows_of(fold, seed) for fold in (0, 1, 2) for seed in (0, 1)]
    each = [reference.balanced_accuracy_score(rows.targets, rows.decisions) for rows in places]
    found = summarise(pooled)["over_folds_and_seeds"]
    assert found["n"] == 6
    assert found["uar"]["mean"] == pytest.approx(statistics.mean(each))
    assert found["uar"]["std"] == pytest.approx(statistics.stdev(each))
    assert set(found) == {"uar", "wa", "macro_f1", "n"}


def test_each_speaker_has_scores_of_their_rows(pooled: Pooled) -> None:
    found = summarise(pooled)["speakers"]
    assert list(found) == ["s00", "s01", "s10", "s11", "s20", "s21"]
    rows = pooled.rows
    own = np.array(rows.speakers) == "s11"
    right = (rows.targets == rows.decisions)[own]
    expected = [right[rows.targets[own] == k].mean() for k in np.unique(rows.targets[own])]
    assert found["s11"]["n"] == own.sum()
    assert found["s11"]["wa"] == pytest.approx(right.mean())
    assert found["s11"]["uar"] == pytest.approx(np.mean(expected))


def test_one_fold_of_two_speakers_has_neither_deviation_nor_interval() -> None:
    found = summarise(Pooled.of([(0, 0, rows_of(0, 0))]))
    assert found["over_folds_and_seeds"]["uar"]["std"] is None
    assert found["interval"] == {"uar": None, "wa": None, "macro_f1": None}


def test_it_is_plain_json_also_where_a_class_is_missing(pooled: Pooled) -> None:
    rows = rows_of(0, 0, speakers=4)
    lacking = rows.rows([i for i, label in enumerate(rows.labels) if label != "c"])
    for summary in (summarise(pooled), summarise(Pooled.of([(0, 0, lacking)]))):
        assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["recall"]["c"] is None


def lettered(labels: str) -> Predictions:
    """An utterance a letter, all predicted as the first class."""
    n = len(labels)
    ids = [f"{labels}{i}" for i in range(n)]
    logits = np.tile([1.0, 0.0, 0.0], (n, 1))
    return Predictions(["a", "b", "c"], ids, ["s"] * n, ["test"] * n, list(labels), logits)


def test_means_over_folds_of_different_classes_say_so() -> None:
    alike = Pooled.of([(0, 0, lettered("aab")), (1, 0, lettered("ab")), (1, 1, lettered("ba"))])
    assert summarise(alike)["notes"] == {}
    unlike = Pooled.of([(0, 0, lettered("abc")), (1, 0, lettered("aab")), (2, 0, lettered("cc"))])
    told = "means over folds that hold different classes: fold 1 lacks c; fold 2 lacks a, b"
    assert summarise(unlike)["notes"] == {"over_folds_and_seeds": told}


def test_the_ece_of_decision_values_and_a_last_epoch_that_patience_chose_say_so() -> None:
    pooled = Pooled.of([(0, 0, lettered("ab"))])
    network, svm = {"ended_by": "max_epochs"}, {"outputs": "decision values"}
    assert summarise(pooled, [network], last=True)["notes"] == {}
    assert summarise(pooled, [network, svm])["notes"] == {"ece": "of decision values, which claim no probability"}
    patient = {"ended_by": "patience"}
    assert summarise(pooled, [patient])["notes"] == {}
    assert summarise(pooled, [patient, network], last=True)["notes"] == {
        "epoch": "chosen on validation, too, by early stopping, which ended 1 of 2 trainings"
    }
    assert early([patient]) == "chosen on validation, too, by early stopping"
