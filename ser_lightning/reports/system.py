"""What is compared, fused and reported: a run, a cross-validation or a fusion, read from its folder."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv, read_json
from ser_lightning.processes.endings import FINISHED
from ser_lightning.reports.settings import Places
from ser_lightning.reports.whereabouts import runs_of
from ser_lightning.runs.folder import RunFolder

Place = tuple[int, int]
"""(fold, seed)"""


@dataclass(frozen=True)
class System:
    """Finished predictions on test rows, chosen on validation, and the runs they come from."""

    path: Path
    kind: Literal["run", "crossval", "fusion"]
    result: Mapping[str, Any]
    """result.json"""
    pooled: Pooled
    """Test rows."""
    runs: Mapping[Place, Sequence[RunFolder]]
    """The runs behind each fold and seed that is finished: one, or the members of a fusion."""

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def labels(self) -> list[str]:
        """What every figure has to be read with."""
        return list(self.result["labels"])

    @property
    def results(self) -> list[dict[str, Any]]:
        """Of the runs behind it."""
        return [run.read_result() for runs in self.runs.values() for run in runs]

    @property
    def last_epoch(self) -> Pooled | None:
        """Test rows of the last epoch's weights; None for what has no epochs."""
        path = self.path / "predictions_last_epoch.csv"
        if not path.exists():
            return None
        if self.kind != "run":
            return Pooled.read(path)
        (place,) = self.runs
        return Pooled.of([(*place, Predictions.read(path))])


def open_system(name: str, places: Places) -> System:
    """A run, a cross-validation or a fusion by its folder or its id.

    Raises:
        UserError: there is none of that name, it isn't finished, a run's test part was not scored, or the finished
            runs of a cross-validation are not there.
    """
    path = _find(name, places)
    file = path / "result.json"
    if not file.exists():
        raise UserError(f"{path} is not finished; start the command that made it again first")
    result = read_json(file)
    kind = result.get("kind", "run")
    if kind == "run":
        return _run(RunFolder(path), result)
    runs = {
        (int(row["fold"]), int(row["seed"])): runs_of(path, row["run"].split(" "), places.runs_dir)
        for row in read_csv(path / "folds.csv")
        if row["state"] == FINISHED
    }
    return System(path, kind, result, Pooled.read(path / "predictions.csv"), runs)


def _run(run: RunFolder, result: Mapping[str, Any]) -> System:
    if "test" not in result:
        raise UserError(f"run {run.id}: its test part was not scored; `ser evaluate {run.id}` does that, once")
    config = run.read_config()
    place = (int(config.split.get("fold", 0)), config.seed)
    test = Predictions.read(run.predictions).part("test")
    return System(run.path, "run", result, Pooled.of([(*place, test)]), {place: [run]})


def _find(name: str, places: Places) -> Path:
    folders = [Path(folder) for folder in (places.crossval_dir, places.fusions_dir, places.runs_dir or "runs")]
    for path in (*(folder / name for folder in folders), Path(name)):
        if (path / "config.yaml").is_file() or (path / "folds.csv").is_file():
            return Path(os.path.abspath(path))  # noqa: PTH100  a linked run is of where its link is
    known = sorted(p.parent.name for folder in folders for p in folder.glob("*/config.yaml"))
    where = ", ".join(f"{folder}/" for folder in folders)
    raise ConfigError(f"no run, cross-validation or fusion `{name}` in {where}; known: {', '.join(known) or 'none'}")
