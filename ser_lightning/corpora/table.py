"""Any corpus that a CSV or Parquet file lists: path, label, speaker, and if there are any id, session, text."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from ser_lightning.corpora.adapter import existing
from ser_lightning.corpora.table_columns import check_columns, segment, unused_columns
from ser_lightning.corpora.table_files import REQUIRED, TableRow, rows
from ser_lightning.corpora.table_paths import PathError, id_of, located
from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError
from ser_lightning.names import clean

LISTED = 20
"""Labels that a message names, the most frequent first."""


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
        for row in rows(table, check_columns):
            if first is None:
                first = row
                yield from unused_columns(table, list(row.fields))
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
        labels = (clean(row.fields.get("label", "")) for row in rows(table, check_columns))
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

    def _entry(self, table: Path, row: TableRow) -> Entry | Problem:
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
            part = segment(row)
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
