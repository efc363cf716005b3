"""predictions.csv: a row an utterance, from which every figure of a result is recomputed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_lightning.corpora.utterance import Utterance
from ser_lightning.errors import UserError
from ser_lightning.evaluation.metrics import Scores, confusion_matrix, scores
from ser_lightning.files import read_csv, write_csv

FIXED = ("id", "speaker", "part", "label")


@dataclass(frozen=True)
class Predictions:
    """Rows of one or more parts: `label` is a class name, `logits` (N, K) in the order of `classes`."""

    classes: Sequence[str]
    ids: Sequence[str]
    speakers: Sequence[str]
    parts: Sequence[str]
    labels: Sequence[str]
    logits: NDArray[np.float64]

    @classmethod
    def of(
        cls, utterances: Iterable[Utterance], classes: Sequence[str], part: str, logits: NDArray[np.float64]
    ) -> "Predictions":
        """Rows of a part whose `logits` (N, K) are in the order of its `utterances`."""
        rows = list(utterances)
        ids, speakers, labels = [u.id for u in rows], [u.speaker for u in rows], [u.label for u in rows]
        return cls(list(classes), ids, speakers, [part] * len(rows), labels, logits)

    def part(self, name: str) -> "Predictions":
        return self.rows([i for i, part in enumerate(self.parts) if part == name])

    def without(self, name: str) -> "Predictions":
        return self.rows([i for i, part in enumerate(self.parts) if part != name])

    def __add__(self, other: "Predictions") -> "Predictions":
        if list(self.classes) != list(other.classes):
            raise UserError(f"predictions of different classes: {self.classes} and {other.classes}")
        return Predictions(
            self.classes,
            [*self.ids, *other.ids],
            [*self.speakers, *other.speakers],
            [*self.parts, *other.parts],
            [*self.labels, *other.labels],
            np.concatenate([self.logits, other.logits]),
        )

    def scores(self) -> Scores:
        """Scores of the rows that are here."""
        return scores(confusion_matrix(self.targets, self.decisions, len(self.classes)), self.classes)

    @property
    def targets(self) -> NDArray[np.int64]:
        """True class numbers (N,)."""
        number = {name: i for i, name in enumerate(self.classes)}
        return np.array([number[label] for label in self.labels], dtype=np.int64)

    @property
    def decisions(self) -> NDArray[np.int64]:
        """Predicted class numbers (N,); a tie goes to the first class."""
        return np.asarray(self.logits.argmax(1), dtype=np.int64)

    def write(self, path: Path) -> None:
        """One `logit_<class>` a class, digits enough to read back the same number."""
        columns = (*FIXED, *(f"logit_{name}" for name in self.classes))
        fixed = zip(self.ids, self.speakers, self.parts, self.labels, strict=True)
        write_csv(
            path,
            columns,
            ((*row, *map(repr, logits.tolist())) for row, logits in zip(fixed, self.logits, strict=True)),
        )

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Raises UserError: the file lacks columns or has no rows."""
        rows = read_csv(path)
        classes = [name.removeprefix("logit_") for name in (rows[0] if rows else {}) if name.startswith("logit_")]
        if not classes or not set(FIXED) <= set(rows[0]):
            raise UserError(f"{path}: needs rows with the columns {', '.join(FIXED)} and logit_<class>")
        logits = np.array([[float(row[f"logit_{name}"]) for name in classes] for row in rows])
        ids, speakers, parts, labels = ([row[column] for row in rows] for column in FIXED)
        return cls(classes, ids, speakers, parts, labels, logits)

    def rows(self, keep: Sequence[int] | NDArray[np.int64]) -> "Predictions":
        """Some of the rows, by number."""
        picked = ([column[i] for i in keep] for column in (self.ids, self.speakers, self.parts, self.labels))
        ids, speakers, parts, labels = picked
        return Predictions(self.classes, ids, speakers, parts, labels, self.logits[list(keep)])
