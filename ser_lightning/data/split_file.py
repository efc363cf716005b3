"""A split that a file gives: the partition that a challenge or a paper published, for any corpus."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ser_lightning.data.splits import PARTS, Assignment, Row
from ser_lightning.errors import UserError
from ser_lightning.names import clean
from ser_lightning.strict_csv import read_rows, separator

NAMED = 5
"""Utterances that an error names; of more, it tells the number."""


@dataclass(frozen=True)
class FromFile:
    """Parts from a CSV file with the columns `id` and `part`, such as the `split.csv` of a run."""

    speaker_dependent: ClassVar[bool] = False
    file: str
    """The CSV file: an utterance's id, and train, validation or test; rows of other utterances are passed over."""

    def split(self, rows: Sequence[Row]) -> Assignment:
        given = self._read()
        if absent := [row.id for row in rows if row.id not in given]:
            raise UserError(
                f"{self.file}: no part for {len(absent)} of the corpus's {len(rows)} utterances, such as "
                f"{', '.join(absent[:NAMED])}; add rows for them, or leave their class out with corpus.classes"
            )
        return {row.id: given[row.id] for row in rows}

    def folds(self, rows: Sequence[Row]) -> int:
        return 1

    @property
    def digest(self) -> str:
        """SHA-256 of what the file says: the path is no part of a run's identity, but this is."""
        return hashlib.sha256(json.dumps(sorted(self._read().items())).encode()).hexdigest()

    def _read(self) -> Assignment:
        path = Path(self.file)
        try:
            columns, rows = read_rows(path, ("id", "part"))
        except OSError as error:
            raise UserError(f"split.file={self.file}: cannot read it ({error})") from error
        if missing := [name for name in ("id", "part") if name not in columns]:
            raise UserError(
                f"{self.file}: no column {' and '.join(missing)}; its first line must name id and part"
                f"{separator(columns)}"
            )
        for row in rows:
            if row.wrong:
                raise UserError(f"{self.file}, line {row.line}: {row.wrong}")
        found = [{"id": clean(row.fields["id"]), "part": row.fields["part"]} for row in rows]
        self._check(found)
        return {row["id"]: row["part"] for row in found}  # type: ignore[misc]

    def _check(self, rows: list[dict[str, str]]) -> None:
        if twice := [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]:
            raise UserError(f"{self.file}: {', '.join(twice[:NAMED])} stands in it more than once; keep one row each")
        if wrong := [row for row in rows if row["part"] not in PARTS]:
            row = wrong[0]
            raise UserError(f"{self.file}: `{row['id']}` has the part `{row['part']}`; parts are {', '.join(PARTS)}")
