"""The folder of a fusion: the files of a cross-validation, with the members and their weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_lightning.config.yaml_text import dump
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, LAST, ON_TEST, best_epochs, selected_by, summarise
from ser_lightning.files import write_csv, write_json, write_text
from ser_lightning.reports.fusion import Fold, left_out
from ser_lightning.reports.system import System
from ser_lightning.reports.weights import Chosen, fused
from ser_lightning.runs.beside import selected_on_test
from ser_lightning.runs.folder import RunFolder


def labels_of(members: Sequence[System]) -> list[str]:
    """What any member's figures have to be read with."""
    return list(dict.fromkeys(label for member in members for label in member.labels))


def write(
    path: Path,
    members: Sequence[System],
    folds: Sequence[Fold],
    chosen: Sequence[Chosen],
    settings: dict[str, Any],
    tried: int | None,
) -> None:
    """Fuse and score; result.json is written last, so its presence means that the fusion is finished.

    Args:
        settings: for config.yaml.
        tried: weightings of which each fold's were the best on validation; None where they were given.
    """
    pooled = {CHOSEN: _pooled(folds, [_fused(f.test, c) for f, c in zip(folds, chosen, strict=True)])}
    pooled[CHOSEN].write(path / "predictions.csv")
    last = [_fused(f.last_epoch, c) for f, c in zip(folds, chosen, strict=True) if f.last_epoch is not None]
    if len(last) == len(folds):
        pooled[LAST] = _pooled(folds, last)
        pooled[LAST].write(path / "predictions_last_epoch.csv")
    write_text(path / "config.yaml", dump(settings))
    write_csv(path / "folds.csv", ("fold", "seed", "run", "test_speakers", "state", "reason"), map(_row, folds))
    learnt = [run.read_result() for fold in folds for run in fold.runs]
    figures: dict[str, Any] = {name: summarise(found, learnt, last=name == LAST) for name, found in pooled.items()}
    if best := [_best_epoch(f, c) for f, c in zip(folds, chosen, strict=True) if _epochs(f)]:
        figures |= {ON_TEST: best_epochs(best)} if len(best) == len(folds) else {}
    write_json(path / "result.json", _result(path.name, members, folds, chosen) | {"tried": tried, "figures": figures})


def _row(fold: Fold) -> tuple[object, ...]:
    runs = " ".join(run.id for run in fold.runs)
    return (*fold.place, runs, " ".join(fold.test_speakers), "finished", "")


def _result(name: str, members: Sequence[System], folds: Sequence[Fold], chosen: Sequence[Chosen]) -> dict[str, Any]:
    return {
        "id": name,
        "kind": "fusion",
        "complete": True,
        "missing": [],
        "experiment": None,
        "labels": labels_of(members),
        "manifest": members[0].result["manifest"],
        "classes": members[0].result["classes"],
        "folds": len({fold.place[0] for fold in folds}),
        "seeds": sorted({fold.place[1] for fold in folds}),
        "members": [member.name for member in members],
        "selected_by": sorted({found for member in members for found in selected_by(member.result)}),
        "alone": [_alone(folds, i) for i in range(len(members))],
        "left_out": [{"fold": fold, "seed": seed} for fold, seed in left_out(members, folds)],
        "weights": [
            {
                "fold": fold.place[0],
                "seed": fold.place[1],
                "weights": list(c.weights),
                "validation_uar": c.validation_uar,
            }
            for fold, c in zip(folds, chosen, strict=True)
        ],
    }


def _alone(folds: Sequence[Fold], member: int) -> dict[str, Any]:
    """A member's own figures on the rows that are fused."""
    figures = summarise(_pooled(folds, [fold.test[member] for fold in folds]))
    return {key: figures[key] for key in ("n", "uar", "wa", "interval")}


def _fused(rows: Sequence[Predictions], chosen: Chosen) -> Predictions:
    return fused(rows, chosen.weights)


def _epochs(fold: Fold) -> bool:
    """Whether every member scored every epoch on test, and equally many."""
    if not all(run.test_epochs.exists() for run in fold.runs):
        return False
    return len({len(_logits(run)) for run in fold.runs}) == 1


def _logits(run: RunFolder) -> NDArray[np.float64]:
    """(E, N, K) of every epoch; rows in the order of the run's own test rows."""
    with np.load(run.test_epochs) as kept:
        return kept["logits"].astype(np.float64)  # type: ignore[no-any-return]


def _best_epoch(fold: Fold, chosen: Chosen) -> dict[str, Any]:
    """The members' epochs side by side, as if they had been trained as one model."""
    rows = [Predictions.read(run.predictions).part("test") for run in fold.runs]
    order = [[row.ids.index(name) for name in rows[0].ids] for row in rows]
    parts = [_logits(run)[:, index] for run, index in zip(fold.runs, order, strict=True)]
    logits = np.tensordot(np.array(chosen.weights), np.stack(parts), axes=1)
    return selected_on_test(rows[0], logits, np.arange(len(logits)))


def _pooled(folds: Sequence[Fold], rows: Sequence[Predictions]) -> Pooled:
    return Pooled.of((*fold.place, found) for fold, found in zip(folds, rows, strict=True))
