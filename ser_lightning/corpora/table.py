"""Any corpus that a CSV or Parquet file lists: path, label, speaker, and if there are any id, session, text."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from ser_lightning.corpora.adapter import existing
from ser_lightning.corpora.table_files import OPTIONAL, REQUIRED, TIMES, Row, rows
from ser_lightning.corpora.table_paths import PathError, id_of, located
from ser_lightning.corpora.utterance import Entry, Problem, Segment
from ser_lightning.errors import UserError
from ser_lightning.names import clean
from ser_lightning.strict_csv import separator

CLOCK = re.compile(
    r"(?=.*[:y])(?:(?P<days>\d+) days?)? ?(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d*)?))?"
)
"""`0 days 00:00:01.5` as pandas writes it, `1:02.5`."""
LISTED = 20
"""Labels that a message names, the most frequent first."""
OPEN = ("", "nan", "nat", "none", "null")
"""How tables write a time that is not given."""


@dataclass
class Table:
    """One row an utterance; relative paths start at the table's folder.

    Without a column `id` an utterance's id is its path as the table writes it, without suffix. `start` and `end`, in
    seconds, must name whole files. Other columns are not used, and named by `ser corpus`.
    """

    root: str
    """Path of the CSV file, or of a Parquet file (.parquet)."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Label in the table -> class; a label that is itself a class need not be listed."""

    def entries(self) -> Iterator[Entry | Problem]:
        """Yield an entry or a problem a row, and what is to be said of the columns.

        Raises:
            UserError: columns are missing, there are no rows, or it is no such table.
        """
        table, seen = self._table(), dict[Path, str]()
        first = None
        for row in rows(table, _check_columns):
            if first is None:
                first = row
                yield from _columns(table, list(row.fields))
            found = self._entry(table, row)
            if isinstance(found, Entry) and "id" not in row.fields:
                before = seen.setdefault(found.path, row.place)
                if before != row.place:
                    found = Problem("twice", found.path, f"named in {before} and in {row.place} of {table}; keep one")
            yield found
        if first is None:
            raise UserError(f"{table} has no rows below its first line; it needs one for each recording")

    def labels_found(self) -> str:
        """What labels the table has and how often, as `labels` maps them; raises UserError as `entries` does."""
        table = self._table()
        labels = (clean(row.fields.get("label", "")) for row in rows(table, _check_columns))
        found = Counter(self._map.get(label, label) for label in labels if label)
        names = ", ".join(f"{name} ({number})" for name, number in found.most_common(LISTED))
        more = f" and {len(found) - LISTED} others" if len(found) > LISTED else ""
        return f"{table} has the labels {names}{more}" if found else f"{table} has no rows with a label"

    def _table(self) -> Path:
        table = existing(self.root)
        if not table.is_file():
            what = "a folder" if table.is_dir() else "no regular file"  # a pipe, which cannot be read twice
            raise UserError(
                f"corpus.root: {table} is {what}; the corpus `table` needs the CSV file's path, or the Parquet file's"
            )
        return table

    @cached_property
    def _map(self) -> dict[str, str]:
        return {clean(label): clean(name) for label, name in self.labels.items()}

    def _entry(self, table: Path, row: Row) -> Entry | Problem:
        if row.wrong:
            return Problem("row", table, f"{row.place} {row.wrong}")
        written = row.fields["path"]
        fields = {name: clean(value) for name, value in row.fields.items()}
        needed = REQUIRED + (["id"] if "id" in fields else [])
        if wanting := [name for name in needed if not fields[name]]:
            return Problem("row", table, f"{row.place}: no {' and no '.join(wanting)}")
        given = fields["label"]
        label = self._map.get(given, given)
        if given not in self._map and label not in map(clean, self.classes):
            return Problem("row", table, f"{row.place}: {self._unknown(given)}")
        try:
            path = located(table, written)
            part = _segment(row)
        except PathError as error:
            if error.path is None:
                return Problem("row", table, f"{row.place}: {error}")
            return Problem("missing", error.path, f"{row.place} of {table}: {error}")
        except ValueError as error:
            return Problem("row", table, f"{row.place}: {error}")
        name = fields.get("id") or id_of(written)
        text = row.fields.get("text", "")
        return Entry(name, path, fields["speaker"], fields.get("session", ""), label, text, part)

    def _unknown(self, label: str) -> str:
        known = {name.casefold(): name for name in [*self._map, *self.classes]}
        close = get_close_matches(label.casefold(), known, n=1)
        meant = f"; did you mean {known[close[0]]!r}?" if close else ""
        return f"label {label!r} is in neither corpus.labels nor corpus.classes{meant}"


def _segment(row: Row) -> Segment | None:
    """What the row names of its file; raises ValueError where it surely is not all of it, or no time."""
    given = {name.lower(): value for name, value in row.fields.items() if name.lower() in TIMES}
    start, end = (_seconds(given.get(name, ""), name) for name in TIMES)
    if start:
        raise ValueError(Segment(start, end, row.place).refusal)
    return None if end is None else Segment(0.0, end, row.place)


def _seconds(text: str, name: str) -> float | None:
    """Seconds, also of a time of day; None where none is given."""
    if text.lower() in OPEN:
        return None
    if clock := CLOCK.fullmatch(text):
        days, hours, minutes = (int(clock[unit] or 0) for unit in ("days", "hours", "minutes"))
        return ((days * 24 + hours) * 60 + minutes) * 60 + float(clock["seconds"] or 0)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{name} `{text}` is no time in seconds")
    return seconds


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    """Raise UserError where a column is missing, or one that is used stands there twice."""
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        names = ", ".join(columns)
        shown = f"its first line names {names}" if names else "it is empty"
        raise UserError(
            f"{table}: no column {', '.join(missing)}; {shown}{separator(columns) or _meant(missing, columns)}"
        )
    for name in (*REQUIRED, *OPTIONAL, *TIMES):
        if columns.count(name) > 1:
            raise UserError(f"{table}: the column {name!r} is there twice; remove one")


def _meant(missing: Sequence[str], columns: Sequence[str]) -> str:
    by_name = {name.lower(): name for name in columns}
    close = {
        by_name[found[0]]: name for name in missing if (found := get_close_matches(name, by_name, n=1, cutoff=0.8))
    }
    return "".join(f"; rename {given!r} to {name!r}" for given, name in close.items())


def _columns(table: Path, columns: Sequence[str]) -> Iterator[Problem]:
    """Name the columns that are not used; those that are spelled almost like one that would be are a warning."""
    others = [name for name in columns if name not in (*REQUIRED, *OPTIONAL) and name.lower() not in TIMES]
    close = {name: get_close_matches(name.lower(), OPTIONAL, n=1, cutoff=0.85) for name in others}
    for name, meant in close.items():
        if meant and meant[0] not in columns:
            yield Problem("alike", table, f"the column {name!r} is not used; did you mean {meant[0]!r}? rename it")
    if others:
        yield Problem("unused", table, f"columns that are not used: {', '.join(map(repr, others))}")
