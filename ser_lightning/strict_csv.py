"""Reading CSV that people and programs wrote: every row whole, or the line named that is not."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.names import clean

OTHERS = {";": "semicolons", "\t": "tabs", "|": "bars"}
"""What separates fields where it is no comma."""


@dataclass(frozen=True)
class CsvRow:
    """One row: the line it begins in, and its fields by column, trimmed; `wrong` says why it cannot be used."""

    line: int
    fields: Mapping[str, str]
    wrong: str = ""


def read_rows(path: Path, one_line: Sequence[str]) -> tuple[list[str], list[CsvRow]]:
    """The columns that the first line names, and the rows below it; lines without anything are passed over.

    A stray quote swallows the rows up to the next one. Therefore quotes must be closed and stand around whole fields,
    and a field with line breaks must neither be of the columns `one_line` nor hold a line that reads as a row.

    Raises:
        UserError: it is no CSV file in UTF-8, with the line where that shows.
        OSError: it cannot be read.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    found, columns = [], list[str]()
    for first, last, fields in _records(path, lines):
        if last > first:
            _check_swallowed(path, lines[first:last], first, columns, fields, one_line)
        if columns:
            by_name = {name: field.strip() for name, field in zip(columns, fields, strict=False)}
            found.append(CsvRow(first, by_name, _wrong(fields, columns)))
        else:
            columns = [clean(name) for name in fields] if len(fields) > 1 else fields
    return columns, found


def _text(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path} is not a CSV file in UTF-8 (line {line}: {error.reason}); save it as one") from error


def _records(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, int, list[str]]]:
    """Each record with the first and the last of its lines."""
    reader = csv.reader(lines, strict=True)
    while True:
        first = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise UserError(
                f"{path}, line {first}: a quote that is not closed, or stands inside a field ({error}); write a quote "
                'that belongs to the text twice, in a field in quotes: "he said ""no"""'
            ) from error
        if fields:
            yield first, reader.line_num, fields


def _wrong(fields: Sequence[str], columns: Sequence[str]) -> str:
    if len(fields) == len(columns):
        return ""
    return f"has {len(fields)} field{'s' * (len(fields) != 1)}, and the first line names {len(columns)}"


def _check_swallowed(
    path: Path, rest: Sequence[str], first: int, columns: Sequence[str], fields: Sequence[str], one_line: Sequence[str]
) -> None:
    """Raise UserError where the record whose lines after the `first` are `rest` seems to hold other rows."""
    rows = [i for i, text in enumerate(rest, first + 1) if len(next(csv.reader([text]), [])) == len(columns or fields)]
    if broken := [name for name, field in zip(columns, fields, strict=False) if name in one_line and _breaks(field)]:
        shows = f"the column {broken[0]} has no line breaks"
    elif rows:
        shows = f"line {rows[0]} reads as a row of its own"
    else:
        return
    raise UserError(
        f"{path}, line {first}: a field in quotes goes on to line {first + len(rest)}, and {shows}: close the quote, "
        "or write the text in one line"
    )


def _breaks(field: str) -> bool:
    return len(field.strip().splitlines()) > 1


def separator(columns: Sequence[str]) -> str:
    """`; it is separated by ...`, where the first line seems to be; else nothing."""
    found = [name for sign, name in OTHERS.items() if len(columns) == 1 and sign in columns[0]]
    return f"; it is separated by {found[0]}: save it with commas" if found else ""
