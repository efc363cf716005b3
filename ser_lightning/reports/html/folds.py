"""The runs behind a system, a row each fold and seed."""

from collections.abc import Mapping
from dataclasses import dataclass

from ser_lightning.evaluation.metrics import Scores
from ser_lightning.files import read_csv
from ser_lightning.reports.html.subject import Subject
from ser_lightning.reports.system import Place, System


@dataclass(frozen=True)
class FoldRow:
    """`scores` of its test rows; None where there are none, and `state` and `reason` say why."""

    place: Place
    runs: str
    state: str
    reason: str
    scores: Scores | None


def fold_rows(system: System) -> list[FoldRow]:
    recorded = _recorded(system)
    there = set(system.pooled.places)
    rows = []
    for place in sorted(there | set(recorded)):
        row = recorded.get(place, {})
        scores = system.pooled.at(*place).scores() if place in there else None
        state = row.get("state") or ("missing" if scores is None else "finished")
        runs = row.get("run") or " ".join(run.id for run in system.runs.get(place, ()))
        rows.append(FoldRow(place, runs, state, row.get("reason", ""), scores))
    return rows


def _recorded(system: System) -> dict[Place, Mapping[str, str]]:
    path = system.path / "folds.csv"
    if not path.exists():
        return {}
    return {(int(row["fold"]), int(row["seed"])): row for row in read_csv(path)}


def run_ids(subject: Subject) -> set[str]:
    """Everything by which a look at the test part may name the system."""
    return {run.id for runs in subject.system.runs.values() for run in runs} | {subject.name}
