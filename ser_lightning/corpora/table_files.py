"""Reading a table's rows as text: CSV as spreadsheets write it, and Parquet with the package's extra."""

import csv
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError

REQUIRED = ["path", "label", "speaker"]
OPTIONAL = ["id", "session", "text"]

Row = dict[str | None, str | list[str] | None]
"""As csv.DictReader gives it: fields beyond the header under None, absent fields as None."""
Rows = Iterator[tuple[str, Row]]
"""Each row with its place in the file: `line 3`, or `row 3` where there are no lines."""
Check = Callable[[Path, Sequence[str]], None]
"""Told the file and the names of its columns before any row is read."""


def rows(table: Path, check: Check) -> Rows:
    """Yield the rows of a CSV file, or of a file called `.parquet`.

    Raises:
        UserError: the file is no such table, `check` refuses its columns, or pyarrow is missing.
    """
    yield from (_parquet if table.suffix.lower() == ".parquet" else _csv)(table, check)


def _csv(table: Path, check: Check) -> Rows:
    try:
        # Spreadsheets write a byte order mark, which would become part of the first column's name.
        with table.open(newline="", encoding="utf-8-sig") as source:
            reader: csv.DictReader[str] = csv.DictReader(source)
            check(table, list(reader.fieldnames or []))
            for row in reader:
                yield f"line {reader.line_num}", dict(row)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table} is not a CSV file in UTF-8 ({error}); save it as one") from error


def _parquet(table: Path, check: Check) -> Rows:
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
        wanted = [name for name in columns if name in REQUIRED + OPTIONAL]
        content = parquet.read_table(table, columns=wanted).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{table} is not a Parquet file ({error}); save it as one") from error
    for number, row in enumerate(content, start=1):
        yield f"row {number}", {name: _text(value) for name, value in row.items()}


def _text(value: Any) -> str:
    """A cell as text; nothing, and the NaN that stands for it in columns of floats, is empty."""
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value)
