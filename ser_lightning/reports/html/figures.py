"""Rows of the headline: each system's figures by how the weights were chosen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ser_lightning.evaluation.summary import selection
from ser_lightning.reports.html.subject import Subject

METRICS = {"uar": "UAR", "wa": "WA", "macro_f1": "macro-F1"}
Selection = Literal["chosen on validation", "last epoch", "selected on test"]


@dataclass(frozen=True)
class FigureRow:
    """Fractions; `intervals` hold (lower, upper) or None, `spread` mean and std by metric over `n` folds and seeds.

    Test epochs selected on test have no pooled values: each fold has its own, WA's another than UAR's.
    """

    subject: Subject
    choice: Selection
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float] | None]
    spread: Mapping[str, Mapping[str, float | None]]
    n: int
    note: str = ""

    @property
    def said(self) -> str:
        """How the weights were chosen, in words."""
        return selection(self.subject.system.result) if self.first else self.choice

    @property
    def first(self) -> bool:
        """Whether the row opens its system's rows."""
        return self.choice == "chosen on validation"

    def point(self, metric: str) -> float | None:
        """What a plot shows: the pooled value, or the mean where there is none."""
        return self.values[metric] if self.values else self.spread[metric]["mean"]


def figure_rows(subjects: Sequence[Subject]) -> list[FigureRow]:
    return [row for subject in subjects for row in _rows(subject)]


def _rows(subject: Subject) -> Iterator[FigureRow]:
    summaries: dict[Selection, Any] = {"chosen on validation": subject.chosen, "last epoch": subject.last}
    for choice, summary in summaries.items():
        if summary is not None:
            values = {name: summary[name] for name in (*METRICS, "ece")}
            intervals = {name: summary["interval"].get(name) for name in METRICS}
            spread = summary["over_folds_and_seeds"]
            yield FigureRow(subject, choice, values, intervals, spread, spread["n"], summary["notes"].get("epoch", ""))
    if selected := subject.selected:
        n = len(subject.system.pooled.places)
        yield FigureRow(subject, "selected on test", {}, {}, selected, n, selected["note"])
