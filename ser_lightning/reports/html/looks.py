"""How often the test recordings were looked at, and by how many configurations."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from ser_lightning.reports.html.folds import run_ids
from ser_lightning.reports.html.subject import Subject
from ser_lightning.runs.vault import Look, configurations, looks_at, recordings_of


@dataclass(frozen=True)
class Looked:
    """All looks of one configuration and kind; `keys` are the systems of the report that it belongs to."""

    looks: Sequence[Look]
    keys: str

    @property
    def first(self) -> Look:
        return self.looks[0]

    @property
    def last(self) -> Look:
        return self.looks[-1]


@dataclass(frozen=True)
class Seen:
    groups: list[Looked]
    rows: list[Look]
    configurations: int
    by_subject: dict[str, tuple[int, int]]
    """System's letter -> (looks at any of its test recordings, configurations that looked)."""
    unrecorded: list[str]
    """Letters of systems of which no look was found."""


def seen(subjects: Sequence[Subject]) -> Seen:
    """Every recorded look at any test recording of the systems, in the runs' folders."""
    at = {one.key: _looks_at(one) for one in subjects}
    rows = sorted({look for found in at.values() for look in found}, key=lambda look: (look.time, look.run))
    ordered = sorted(rows, key=lambda look: (look.configuration, look.kind, look.time))
    groups = [
        Looked(list(found), _keys(subjects, key[0], rows))
        for key, found in groupby(ordered, key=lambda look: (look.configuration, look.kind))
    ]
    return Seen(
        sorted(groups, key=lambda group: group.first.time),
        rows,
        configurations(rows),
        {key: (len(found), configurations(found)) for key, found in at.items()},
        [one.key for one in subjects if not any(look.run in run_ids(one) for look in at[one.key])],
    )


def _looks_at(subject: Subject) -> list[Look]:
    folders = {run.path.parent for runs in subject.system.runs.values() for run in runs}
    recordings = {digest for runs in subject.system.runs.values() for run in runs for digest in recordings_of(run)}
    return [look for folder in sorted(folders) for look in looks_at(folder, recordings)]


def _keys(subjects: Sequence[Subject], configuration: str, rows: Sequence[Look]) -> str:
    runs = {look.run for look in rows if look.configuration == configuration}
    return " ".join(one.key for one in subjects if runs & run_ids(one))
