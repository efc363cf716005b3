"""Recall by class and scores by speaker, a column a system."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ser_lightning.reports.html.subject import Subject


@dataclass(frozen=True)
class Line:
    """`cells` by the system's letter: None where the system has no such class or speaker in its test rows."""

    name: str
    cells: Mapping[str, Mapping[str, Any] | None]


def class_recalls(subjects: Sequence[Subject]) -> list[Line]:
    """Cells with `n`, `recall` (None where the class does not occur)."""
    names = dict.fromkeys(name for one in subjects for name in one.classes)
    return [Line(name, {one.key: _recall(one, name) for one in subjects}) for name in names]


def _recall(subject: Subject, name: str) -> Mapping[str, Any] | None:
    if name not in subject.classes:
        return None
    support = sum(subject.chosen["confusion"][list(subject.classes).index(name)])
    return {"n": support, "recall": subject.chosen["recall"][name]}


def speaker_scores(subjects: Sequence[Subject]) -> list[Line]:
    """Cells with `n`, `uar`, `wa`, and `lowest` where no speaker of the system has a lower UAR, but some a higher."""
    names = sorted({name for one in subjects for name in one.chosen["speakers"]})
    return [Line(name, {one.key: _speaker(one, name) for one in subjects}) for name in names]


def _speaker(subject: Subject, name: str) -> Mapping[str, Any] | None:
    cell = subject.chosen["speakers"].get(name)
    every = [one["uar"] for one in subject.chosen["speakers"].values()]
    return None if cell is None else {**cell, "lowest": cell["uar"] == min(every) < max(every)}
