"""Out-of-fold predictions: the test rows of all folds and seeds of one system in one table."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import FIXED, Predictions
from ser_lightning.files import read_csv, write_csv

PLACE = ("fold", "seed")


@dataclass(frozen=True)
class Pooled:
    """`rows` with the fold that tested each and the seed of the training, both (N,)."""

    rows: Predictions
    folds: NDArray[np.int64]
    seeds: NDArray[np.int64]

    @classmethod
    def of(cls, found: Iterable[tuple[int, int, Predictions]]) -> "Pooled":
        """From the test rows of each (fold, seed).

        Raises:
            UserError: their classes differ.
        """
        parts = list(found)
        rows = parts[0][2]
        for _, _, more in parts[1:]:
            rows = rows + more
        sizes = [len(found.ids) for _, _, found in parts]
        folds, seeds = (np.repeat([part[i] for part in parts], sizes).astype(np.int64) for i in (0, 1))
        return cls(rows, folds, seeds)

    @property
    def places(self) -> list[tuple[int, int]]:
        """Every (fold, seed) that has rows, sorted."""
        return sorted(set(zip(self.folds.tolist(), self.seeds.tolist(), strict=True)))

    def at(self, fold: int, seed: int) -> Predictions:
        """The rows of one fold and seed."""
        return self.rows.rows(np.flatnonzero((self.folds == fold) & (self.seeds == seed)))

    def write(self, path: Path) -> None:
        """Like predictions.csv of a run, with `fold` and `seed` after the fixed columns."""
        own = self.rows
        columns = (*FIXED, *PLACE, *(f"logit_{name}" for name in own.classes))
        fixed = zip(own.ids, own.speakers, own.parts, own.labels, self.folds.tolist(), self.seeds.tolist(), strict=True)
        write_csv(path, columns, ((*row, *map(repr, z.tolist())) for row, z in zip(fixed, own.logits, strict=True)))

    @classmethod
    def read(cls, path: Path) -> "Pooled":
        """Raises UserError: the file lacks columns or has no rows."""
        rows = Predictions.read(path)
        table = read_csv(path)
        if not set(PLACE) <= set(table[0]):
            raise UserError(f"{path}: needs the columns {' and '.join(PLACE)}")
        folds, seeds = (np.array([int(row[column]) for row in table], dtype=np.int64) for column in PLACE)
        return cls(rows, folds, seeds)


def counts_by_speaker(rows: Predictions) -> tuple[list[str], NDArray[np.int64]]:
    """Speakers by name and their confusion matrices (S, K, K), true class by row: all that scores need."""
    speakers = sorted(set(rows.speakers))
    number = {name: i for i, name in enumerate(speakers)}
    counts = np.zeros((len(speakers), len(rows.classes), len(rows.classes)), dtype=np.int64)
    np.add.at(counts, (np.array([number[name] for name in rows.speakers]), rows.targets, rows.decisions), 1)
    return speakers, counts
