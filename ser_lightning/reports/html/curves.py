"""Learning curves of all folds of a system, from its runs' histories."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ser_lightning.files import read_json
from ser_lightning.reports.system import Place, System
from ser_lightning.runs.folder import RunFolder
from ser_lightning.training.history import read_history

Point = tuple[int, float]
"""(epoch, value)"""


@dataclass(frozen=True)
class Curve:
    """One run: its place, finite values by metric and epoch, and the epoch that was kept."""

    place: Place
    metrics: dict[str, list[Point]]
    kept: int | None

    def kept_point(self, metric: str) -> Point | None:
        return next((point for point in self.metrics.get(metric, []) if point[0] == self.kept), None)


def curves(system: System) -> list[Curve]:
    """Those of runs that have epochs; none for a fusion, which trains nothing."""
    if system.kind == "fusion":
        return []
    found = [_curve(place, runs[0]) for place, runs in sorted(system.runs.items()) if runs]
    return [curve for curve in found if curve.metrics]


def _curve(place: Place, run: RunFolder) -> Curve:
    metrics: dict[str, list[Point]] = {}
    for row in read_history(run.metrics):
        for name, value in row.items():
            if "/" in name and value is not None and math.isfinite(value):
                metrics.setdefault(name, []).append((int(row["epoch"] or 0), value))
    return Curve(place, metrics, _kept(run))


def _kept(run: RunFolder) -> int | None:
    if not run.finished:
        return None
    epoch: int | None = read_json(run.result).get("checkpoint", {}).get("epoch")
    return epoch


def mean(lines: Sequence[Sequence[Point]]) -> list[Point]:
    """Mean over the lines that reach an epoch, as long as at least half of them do: trainings stop at their own."""
    at: dict[int, list[float]] = {}
    for line in lines:
        for epoch, value in line:
            at.setdefault(epoch, []).append(value)
    return [(epoch, sum(values) / len(values)) for epoch, values in sorted(at.items()) if 2 * len(values) >= len(lines)]
