"""Choosing a setting by cross-validation inside the training speakers."""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_lightning.console import track
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.models.linear_svm import LinearSVM
from ser_lightning.training.stopping import StopRequest


@dataclass(frozen=True)
class Examples:
    """What is fitted on."""

    vectors: NDArray[np.float64]
    """(N, D)"""
    labels: NDArray[np.int64]
    """(N,)"""
    speakers: Sequence[str]
    """(N,)"""


def choose_cost(model: LinearSVM, examples: Examples, stop: StopRequest, label: str) -> tuple[float, dict[str, float]]:
    """The candidate of highest mean UAR over inner folds that share no speaker, the least of equals; and all UARs.

    The folds are scikit-learn's StratifiedGroupKFold: speakers whole, shares of classes as alike as that allows.

    Raises:
        UserError: there are fewer speakers than folds, or a fold leaves one class to train on.
        StoppedError: `stop` was asked.
    """
    folds = _folds(model.inner_folds, examples)
    uars: dict[float, list[float]] = {cost: [] for cost in model.costs}
    tasks = list(product(model.costs, folds))
    for cost, fold in track(_until(stop, tasks), label, len(tasks)):
        uars[cost].append(_uar(model.candidate(cost), examples, fold))
    means = {cost: float(np.mean(found)) for cost, found in uars.items()}
    return max(means, key=lambda cost: means[cost]), {f"{cost:g}": mean for cost, mean in means.items()}


def _until(stop: StopRequest, tasks: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    for task in tasks:
        if stop.reason:
            raise StoppedError(stop.reason, stop.exit_code)
        yield task


def _folds(number: int, examples: Examples) -> list[Any]:
    from sklearn.model_selection import StratifiedGroupKFold

    speakers = len(set(examples.speakers))
    if speakers < number:
        raise UserError(
            f"model.inner_folds={number}: there are {speakers} speakers to choose C on, and no speaker may be in two "
            f"folds; set model.inner_folds={max(2, speakers)} or less, or give training more speakers"
        )
    if np.bincount(examples.labels).max() < number:
        raise UserError(f"model.inner_folds={number}: no class has as many utterances; set fewer folds")
    with warnings.catch_warnings():
        # Shares of a rare class cannot be alike in all folds; none needs to hold it.
        warnings.filterwarnings("ignore", "The least populated class")
        folds = list(StratifiedGroupKFold(number).split(examples.vectors, examples.labels, examples.speakers))
    if any(len(set(examples.labels[training])) < 2 for training, _ in folds):
        raise UserError(
            f"model.inner_folds={number}: a fold leaves a single class to train on; set more folds, or give training "
            "more speakers of each class"
        )
    return folds


def _uar(estimator: Any, examples: Examples, fold: Any) -> float:
    from sklearn.model_selection import cross_val_score

    with warnings.catch_warnings():
        # A speaker who lacks a class is no fault: UAR is over the classes that the fold holds.
        warnings.filterwarnings("ignore", "y_pred contains classes not in y_true")
        scores = cross_val_score(
            estimator, examples.vectors, examples.labels, cv=[fold], scoring="balanced_accuracy", error_score="raise"
        )
    return float(scores[0])
