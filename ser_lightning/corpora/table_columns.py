"""The columns of a table: which must be there, which are not used, and what `start` and `end` name of a file."""

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from ser_lightning.corpora.table_files import OPTIONAL, REQUIRED, TIMES, TableRow
from ser_lightning.corpora.utterance import Problem, Segment
from ser_lightning.errors import UserError
from ser_lightning.strict_csv import separator

CLOCK = re.compile(
    r"(?=.*[:y])(?:(?P<days>\d+) days?)? ?(?:(?:(?P<hours>\d+):)?(?P<minutes>\d+):(?P<seconds>\d+(?:\.\d*)?))?"
)
"""`0 days 00:00:01.5` as pandas writes it, `1:02.5`."""
OPEN = ("", "nan", "nat", "none", "null")
"""How tables write a time that is not given."""


def check_columns(table: Path, columns: Sequence[str]) -> None:
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


def unused_columns(table: Path, columns: Sequence[str]) -> Iterator[Problem]:
    """Name the columns that are not used; those that are spelled almost like one that would be are a warning."""
    others = [name for name in columns if name not in (*REQUIRED, *OPTIONAL) and name.lower() not in TIMES]
    close = {name: get_close_matches(name.lower(), OPTIONAL, n=1, cutoff=0.85) for name in others}
    for name, meant in close.items():
        if meant and meant[0] not in columns:
            yield Problem("alike", table, f"the column {name!r} is not used; did you mean {meant[0]!r}? rename it")
    if others:
        yield Problem("unused", table, f"columns that are not used: {', '.join(map(repr, others))}")


def segment(row: TableRow) -> Segment | None:
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
