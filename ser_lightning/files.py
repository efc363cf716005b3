"""Writing files so that a reader sees the old content or the new, never half of it."""

import csv
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError

MEND = "copy it again from where it is whole, or remove it and start again the command that made it"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; it replaces `path` when the block ends well, else it is removed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{secrets.token_hex(4)}.tmp{path.suffix}")
    os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))  # who may read it is the umask's to say
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename is None:  # as of a write to a full disk
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(columns)
        writer.writerows(rows)


def read_json(path: Path) -> dict[str, Any]:
    """The object that `write_json` wrote.

    Raises:
        UserError: it is no whole JSON, as after a full disk or a copy that was cut short.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no names and values")
    except ValueError as error:
        raise UserError(f"{path} is broken ({_line(error)}): {MEND}") from error
    return found


def read_csv(path: Path, torn: bool = False) -> list[dict[str, str]]:
    """Rows of a file that `write_csv` wrote, by its first line's columns.

    Args:
        torn: leave rows that are longer or shorter than the first to the caller.

    Raises:
        UserError: it is no text, or a row is longer or shorter than the first.
    """
    try:
        with path.open(newline="", encoding="utf-8") as source:
            rows = list(csv.DictReader(source))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path} is broken ({_line(error)}): {MEND}") from error
    for number, row in enumerate([] if torn else rows, start=1):
        if None in row or None in row.values():
            raise UserError(f"{path} is broken (row {number} is cut short or too long): {MEND}")
    return rows


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
