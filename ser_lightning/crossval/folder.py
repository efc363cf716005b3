"""A cross-validation is a folder: its configuration, its folds, their pooled test rows, and its result."""

import secrets
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

from ser_lightning.config.schema import Config
from ser_lightning.config.yaml_text import dump
from ser_lightning.files import read_json, write_csv, write_json, write_text
from ser_lightning.runs.folder import environment


@dataclass(frozen=True)
class Fold:
    """A row of folds.csv; `state` is waiting, finished or why the run ended."""

    fold: int
    seed: int
    run: str
    test_speakers: str
    state: str = "waiting"
    reason: str = ""


class CrossvalFolder:
    """`crossval_dir/<id>`; the folds' runs lie under the configuration's `runs_dir`."""

    def __init__(self, path: Path) -> None:
        self.path, self.id = path, path.name
        self.config, self.environment = path / "config.yaml", path / "environment.json"
        self.folds, self.predictions = path / "folds.csv", path / "predictions.csv"
        self.last_epoch, self.result = path / "predictions_last_epoch.csv", path / "result.json"
        self.attempt, self.tracked = path / "attempt", path / "tracked"
        self.log, self.confusion = path / "crossval.log", path / "confusion.png"

    @property
    def lock(self) -> Path:
        return self.path / ".lock"

    @property
    def complete(self) -> bool:
        """Whether every fold of every seed is in the result."""
        return self.result.exists() and bool(self.read_result()["complete"])

    def read_result(self) -> dict[str, Any]:
        return read_json(self.result)

    def begin(self, config: Config) -> None:
        write_text(self.config, dump(asdict(config)))
        write_json(self.environment, environment())
        self.tracked.unlink(missing_ok=True)
        if not self.attempt.exists():
            write_text(self.attempt, f"{self.id}-{secrets.token_hex(3)}\n")

    @property
    def attempt_id(self) -> str:
        """What W&B knows it by: the same for every start, another one after the folder was removed."""
        return self.attempt.read_text(encoding="utf-8").strip()

    def write_folds(self, folds: Sequence[Fold]) -> None:
        write_csv(self.folds, [field.name for field in fields(Fold)], [astuple(fold) for fold in folds])
