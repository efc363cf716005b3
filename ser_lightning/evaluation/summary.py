"""The figures of a cross-validation or fusion: pooled over out-of-fold rows, and over folds and seeds."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_lightning.evaluation.bootstrap import intervals
from ser_lightning.evaluation.calibration import expected_calibration_error
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions

FIGURES = ("uar", "wa", "macro_f1")
CHOSEN, LAST, ON_TEST = "chosen on validation", "last epoch", "selected on test"
"""Which epoch's weights a figure is of; the last of them is what papers without a validation part report. The
last epoch is chosen on validation, too, where early stopping ended the training: `notes.epoch` says so."""
PATIENCE, DECISION_VALUES = "patience", "decision values"
"""What a run's result says of it: `ended_by` early stopping, and `outputs` that are no logits of probabilities."""


def selection(result: Mapping[str, Any]) -> str:
    """What a person reads in place of `CHOSEN`: the same, unless a learner behind the result chose otherwise."""
    found = selected_by(result)
    return f"chosen by {', '.join(found)}" if set(found) - {"validation.uar"} else CHOSEN


def selected_by(result: Mapping[str, Any]) -> list[str]:
    """What chose the weights, of a run's result or one made of runs; empty where the result doesn't say."""
    found = result.get("checkpoint", result).get("selected_by", [])
    return [found] if isinstance(found, str) else list(found)


def summarise(pooled: Pooled, results: Iterable[Mapping[str, Any]] = (), last: bool = False) -> dict[str, Any]:
    """Plain containers without NaN, as they stand in result.json; scores are fractions.

    Scores, confusion matrix and `ece` are of all rows in one table; `interval` is a 95 % interval over speakers, None
    with fewer than three; `over_folds_and_seeds` has the mean and sample standard deviation (None for one) of the
    scores of each (fold, seed), `n` of them; `speakers` has the scores of each speaker's rows. `notes` has a sentence
    for those of the figures `ece`, `over_folds_and_seeds` and `epoch` that are not what they seem.

    Args:
        results: of the runs behind the rows.
        last: the rows are of the last epoch's weights.

    Raises:
        ValueError: no rows.
    """
    rows, results = pooled.rows, list(results)
    notes = {"ece": _no_probabilities(results), "over_folds_and_seeds": _unequal_classes(pooled)}
    notes |= {"epoch": early(results)} if last else {}
    return {
        **rows.scores().as_dict(),
        "ece": expected_calibration_error(rows),
        "interval": {name: list(found) if found else None for name, found in intervals(rows).items()},
        "over_folds_and_seeds": _over_places(pooled),
        "speakers": {name: _of_speaker(rows, name) for name in sorted(set(rows.speakers))},
        "notes": {figure: said for figure, said in notes.items() if said},
    }


def early(results: Iterable[Mapping[str, Any]]) -> str:
    """What the last epoch's figures have to be read with; nothing where all trainings went on to their end."""
    ended = Counter(result.get("ended_by") == PATIENCE for result in results)
    if not ended[True]:
        return ""
    of = "" if ended.total() == 1 else f" {ended[True]} of {ended.total()} trainings"
    return f"chosen on validation, too, by early stopping{of and f', which ended{of}'}"


def _no_probabilities(results: Iterable[Mapping[str, Any]]) -> str:
    if not any(result.get("outputs") == DECISION_VALUES for result in results):
        return ""
    return "of decision values, which claim no probability"


def _unequal_classes(pooled: Pooled) -> str:
    rows = {fold: pooled.rows.rows(np.flatnonzero(pooled.folds == fold)) for fold, _ in pooled.places}
    return unequal({fold: set(found.labels) for fold, found in rows.items()})


def unequal(held: Mapping[int, Collection[str]]) -> str:
    """Where the scored classes differ, a UAR of one fold is a mean over other recalls than that of another.

    Args:
        held: by number of the fold, the classes that are scored in it.
    """
    every = set[str]().union(*held.values())
    lacking = {fold: sorted(every.difference(found)) for fold, found in held.items()}
    lacks = [f"fold {fold} lacks {', '.join(names)}" for fold, names in lacking.items() if names]
    return f"means over folds that hold different classes: {'; '.join(lacks)}" if lacks else ""


def best_epochs(found: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Mean and deviation over folds and seeds of the best test `uar` and `wa` of each, every one from its own epoch."""
    note = "best test epoch of each fold, WA and UAR each from its own: not a fair figure"
    return {"note": note, **{name: _spread(np.array([one[name] for one in found])) for name in ("uar", "wa")}}


def _over_places(pooled: Pooled) -> dict[str, Any]:
    each = [pooled.at(fold, seed).scores() for fold, seed in pooled.places]
    spread = {name: _spread(np.array([getattr(found, name) for found in each])) for name in FIGURES}
    return {**spread, "n": len(each)}


def _spread(values: NDArray[np.float64]) -> dict[str, float | None]:
    return {"mean": float(values.mean()), "std": float(values.std(ddof=1)) if len(values) > 1 else None}


def _of_speaker(rows: Predictions, speaker: str) -> dict[str, float]:
    found = rows.rows([i for i, name in enumerate(rows.speakers) if name == speaker]).scores()
    return {"n": found.n, "uar": found.uar, "wa": found.wa}
