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
from ser_lightning.processes.stopping import StopRequest

MOST = 5
"""Inner folds where nobody asks for a number."""


@dataclass(frozen=True)
class Examples:
    """What is fitted on."""

    vectors: NDArray[np.float64]
    """(N, D)"""
    labels: NDArray[np.int64]
    """(N,)"""
    speakers: Sequence[str]
    """(N,)"""


@dataclass(frozen=True)
class ChosenCost:
    """The candidate that was chosen, the mean UAR of each, and over how many folds."""

    cost: float
    uars: dict[str, float]
    folds: int


def choose_cost(model: LinearSVM, examples: Examples, stop: StopRequest, label: str) -> ChosenCost:
    """The candidate of highest mean UAR over inner folds that share no speaker, the least of equals.

    The folds are scikit-learn's StratifiedGroupKFold: speakers whole, shares of classes as alike as that allows.

    Raises:
        UserError: there are not so many folds to be had, or one leaves a single class to train on.
        StoppedError: `stop` was asked.
    """
    number = folds_of(model.inner_folds, len(set(examples.speakers)), int(np.bincount(examples.labels).max()))
    folds = _folds(number, examples)
    uars: dict[float, list[float]] = {cost: [] for cost in model.costs}
    tasks = list(product(model.costs, folds))
    for cost, fold in track(_until(stop, tasks), label, len(tasks)):
        uars[cost].append(_uar(model.candidate(cost), examples, fold))
    means = {cost: float(np.mean(found)) for cost, found in uars.items()}
    best = max(means, key=lambda cost: means[cost])
    return ChosenCost(best, {f"{cost:g}": mean for cost, mean in means.items()}, number)


def folds_of(asked: int | None, speakers: int, largest: int) -> int:
    """How many inner folds: those asked for, or five, or as many as the data allow.

    Args:
        asked: `model.inner_folds`.
        speakers: who is fitted on.
        largest: utterances of the class that has most; each fold needs one of them.

    Raises:
        UserError: that many can't be had, or not even two.
    """
    number = min(MOST, speakers, largest) if asked is None else asked
    if speakers < max(number, 2):
        remedy = f"set model.inner_folds=null, or {speakers} or less, or" if speakers > 1 else "so"
        raise UserError(
            f"model.inner_folds={_word(asked)}: there {'are' if speakers != 1 else 'is'} {speakers} "
            f"speaker{'s' * (speakers != 1)} to choose C on, and no speaker may be in two folds; {remedy} give "
            "training more speakers"
        )
    if largest < max(number, 2):
        raise UserError(f"model.inner_folds={_word(asked)}: no class has as many utterances; set fewer folds")
    return number


def _word(asked: int | None) -> str:
    return "null" if asked is None else str(asked)


def _until(stop: StopRequest, tasks: Iterable[tuple[float, Any]]) -> Iterator[tuple[float, Any]]:
    for task in tasks:
        if stop.reason:
            raise StoppedError(stop.reason, stop.exit_code)
        yield task


def _folds(number: int, examples: Examples) -> list[Any]:
    from sklearn.model_selection import StratifiedGroupKFold

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
