"""Any corpus that a CSV or Parquet file lists: path, label, speaker, and if there are any id, session, text."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ser_lightning.corpora.adapter import existing
from ser_lightning.corpora.table_files import OPTIONAL, REQUIRED, Row, rows
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError
from ser_lightning.strict_csv import separator


@dataclass
class Table:
    """One row an utterance; relative paths start at the table's folder; other columns are not looked at.

    Without a column `id` an utterance's id is its path relative to that folder, without suffix.
    """

    root: str
    """Path of the CSV file, or of a Parquet file (.parquet)."""
    classes: list[str]
    """Classes to use, in the order of the logits."""
    labels: dict[str, str]
    """Label in the table -> class; a label that is itself a class need not be listed."""

    def entries(self) -> Iterator[Entry | Problem]:
        """Yield an entry or a problem a row; raises UserError where columns are missing or it is no such table."""
        table = existing(self.root)
        if not table.is_file():
            raise UserError(
                f"corpus.root: {table} is a folder; the corpus `table` needs the CSV file's path, or the Parquet file's"
            )
        for row in rows(table, _check_columns):
            yield self._entry(table, row)

    def _entry(self, table: Path, row: Row) -> Entry | Problem:
        place, fields = row.place, row.fields
        if row.wrong:
            return Problem("row", table, f"{place} {row.wrong}")
        needed = REQUIRED + (["id"] if "id" in fields else [])
        if wanting := [name for name in needed if not fields.get(name)]:
            return Problem("row", table, f"{place}: no {' and no '.join(wanting)}")
        label = self.labels.get(fields["label"], fields["label"])
        if fields["label"] not in self.labels and label not in self.classes:
            detail = f"{place}: label {label!r} is in neither corpus.labels nor corpus.classes"
            return Problem("row", table, detail)
        path = Path(os.path.normpath(table.parent / Path(fields["path"]).expanduser()))
        if not path.is_file():
            return Problem("missing", path, f"named in {place} of {table}")
        name = fields.get("id") or Path(os.path.relpath(path, table.parent)).with_suffix("").as_posix()
        return Entry(name, path, fields["speaker"], fields.get("session", ""), label, fields.get("text", ""))


def _check_columns(table: Path, columns: Sequence[str]) -> None:
    """Raise UserError where a column is missing, there twice, or almost called like an optional one."""
    missing = [name for name in REQUIRED if name not in columns]
    if missing:
        raise UserError(
            f"{table}: no column {', '.join(missing)}; its first line names {', '.join(columns) or 'nothing'}"
            f"{separator(columns)}"
        )
    for name in columns:
        meant = get_close_matches(name.strip().lower(), OPTIONAL, n=1, cutoff=0.8)
        if columns.count(name) > 1:
            raise UserError(f"{table}: the column {name!r} is there twice; remove one")
        if meant and name not in OPTIONAL:
            raise UserError(f"{table}: unknown column {name!r}; did you mean {meant[0]!r}? rename it")
