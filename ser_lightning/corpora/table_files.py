"""Reading a table's rows as text: CSV as spreadsheets write it, and Parquet with the package's extra."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.strict_csv import read_rows

REQUIRED = ["path", "label", "speaker"]
OPTIONAL = ["id", "session", "text"]
TIMES = ["start", "end"]


@dataclass(frozen=True)
class TableRow:
    """A row's place in the file (`line 3`, or `row 3` where there are no lines), and its trimmed fields by column."""

    place: str
    fields: Mapping[str, str]
    wrong: str = ""
    """Why it cannot be used."""


Check = Callable[[Path, Sequence[str]], None]
"""Told the file and the names of its columns before any row is read."""


def rows(table: Path, check: Check) -> Iterator[TableRow]:
    """Yield the rows of a CSV file, or of a file called `.parquet`.

    Raises:
        UserError: the file is no such table, `check` refuses its columns, or pyarrow is missing.
    """
    yield from (_parquet if table.suffix.lower() == ".parquet" else _csv)(table, check)


def _csv(table: Path, check: Check) -> Iterator[TableRow]:
    try:
        columns, found = read_rows(table, [*REQUIRED, "id", "session"])
    except OSError as error:
        raise UserError(f"{table} cannot be read ({error.strerror})") from error
    check(table, columns)
    for row in found:
        yield TableRow(f"line {row.line}", row.fields, row.wrong)


def _parquet(table: Path, check: Check) -> Iterator[TableRow]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            f"{table}: reading Parquet needs the package pyarrow; run `pip install 'ser-lightning[parquet]'`, "
            "or save the table as CSV"
        ) from error
    try:
        columns = list(parquet.read_schema(table).names)
        check(table, columns)
        wanted = [name for name in columns if name in REQUIRED + OPTIONAL or name.lower() in TIMES]
        content = parquet.read_table(table, columns=wanted).to_pylist()
        others = dict.fromkeys((name for name in columns if name not in wanted), "")
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{table} is not a Parquet file ({error}); save it as one") from error
    for number, row in enumerate(content, start=1):
        yield TableRow(f"row {number}", others | {name: _text(value).strip() for name, value in row.items()})


def _text(value: Any) -> str:
    """A cell as text; nothing, and the NaN that stands for it in columns of floats, is empty; durations in seconds."""
    if isinstance(value, timedelta):
        return str(value.total_seconds())
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
