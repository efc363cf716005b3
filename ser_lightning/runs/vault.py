"""The test vault: every look at a test part, by which configuration and when, in one file beside the runs.

Each further configuration that is scored on the same recordings makes the best of the figures a little less of a
test: the number of looks has to stand beside them.
"""

import csv
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from ser_lightning.config.identity import identity
from ser_lightning.config.schema import Config
from ser_lightning.errors import UserError
from ser_lightning.files import read_csv, write_text
from ser_lightning.runs.folder import RunFolder
from ser_lightning.waiting import announced

FILE = "test_looks.csv"
PARTS = "test_parts"
"""Folder of the test parts that were looked at: a file each, with a recording's digest a line."""


@dataclass(frozen=True)
class Look:
    """One row; `kind` says of which weights: chosen on validation (and, beside them, the last epoch's), every epoch's,
    or a fusion's."""

    time: str
    run: str
    configuration: str
    """Digest of the configuration without seed and fold: repeats of one experiment are one configuration."""
    kind: str
    experiment: str
    corpus: str
    labels: str
    test_speakers: str
    """A JSON list."""
    test_part: str
    """Digest of the recordings."""

    @property
    def speakers(self) -> list[str]:
        return json.loads(self.test_speakers)  # type: ignore[no-any-return]


COLUMNS = [field.name for field in fields(Look)]


def configuration_of(config: Config) -> str:
    """12 hex digits of what can change a configuration's numbers but the seed and the fold."""
    tree = identity(config)
    del tree["seed"], tree["training"]["keep_epochs"]
    tree["split"].pop("fold", None)
    return digest_of(json.dumps(tree, sort_keys=True))


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def record(
    run: RunFolder, config: Config, runs_dir: Path, name: str, configuration: str, kind: str, labels: Iterable[str]
) -> None:
    """Say that the test part of `run` is about to be looked at.

    Before predicting: a look that fails half-way has still been one.

    Args:
        run: whose split it is.
        config: the run's.
        runs_dir: the folder whose vault it is.
        name: what looks: the run itself, or a fusion.
    """
    rows = [row for row in read_csv(run.split) if row["part"] == "test"]
    digests = sorted(row["digest"] for row in rows)
    part = digest_of("\n".join(digests))
    write_text(runs_dir / PARTS / part, "".join(f"{digest}\n" for digest in digests))
    _append(
        runs_dir / FILE,
        Look(
            datetime.now(UTC).isoformat(timespec="seconds"),
            name,
            configuration,
            kind,
            config.experiment or "" if name == run.id else "",
            config.corpus["name"],
            "; ".join(labels),
            json.dumps(sorted({row["speaker"] for row in rows})),
            part,
        ),
    )


def _append(path: Path, look: Look) -> None:
    with path.open("ab+") as file:
        with announced(f"another process to write {path}"):
            fcntl.flock(file, fcntl.LOCK_EX)
        _drop_torn_end(file)
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        file.seek(0)
        if not (head := file.readline()):
            writer.writeheader()
        elif head.decode().strip() != ",".join(COLUMNS):
            raise _other_columns(path)
        writer.writerow(asdict(look))
        file.write(text.getvalue().encode())
        file.flush()
        os.fsync(file.fileno())


def _other_columns(path: Path) -> UserError:
    return UserError(
        f"{path}: its columns are not those of this version ({', '.join(COLUMNS)}); keep it under another name, and "
        "count its looks by hand"
    )


def _drop_torn_end(file: BinaryIO) -> None:
    """A line without an end is a look that did not take place: its writer was killed, or the disk was full."""
    file.seek(0)
    whole = file.read().rfind(b"\n") + 1
    file.truncate(whole)


def looks(runs_dir: Path) -> list[Look]:
    """Every look so far, oldest first; none where nothing was looked at."""
    path = runs_dir / FILE
    rows = read_csv(path, torn=True) if path.exists() else []
    if rows and set(rows[0]) - {None} != set(COLUMNS):
        raise _other_columns(path)
    return [Look(**row) for row in rows if None not in row and None not in row.values()]


def looks_at(runs_dir: Path, recordings: Collection[str]) -> list[Look]:
    """Those at any of the recordings (audio digests), whatever their split was called: other folds count too."""
    wanted, met = set(recordings), dict[str, bool]()
    for look in (found := looks(runs_dir)):
        if look.test_part not in met:
            file = runs_dir / PARTS / look.test_part
            # A part whose list is gone may have been this one.
            met[look.test_part] = not file.exists() or not wanted.isdisjoint(file.read_text(encoding="utf-8").split())
    return [look for look in found if met[look.test_part]]


def recordings_of(run: RunFolder) -> set[str]:
    """Audio digests of a run's test part; none where its split is gone."""
    rows = read_csv(run.split) if run.split.exists() else []
    return {row["digest"] for row in rows if row["part"] == "test"}


def configurations(found: Iterable[Look]) -> int:
    """How many different configurations looked."""
    return len({look.configuration for look in found})
