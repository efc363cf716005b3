"""metrics.csv is continued, not doubled, when a training resumes."""

import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ser_lightning.training import history
from ser_lightning.training.history import History, read_history

MODULE: Any = SimpleNamespace(device=torch.device("cpu"))


def trainer(epoch: int, **metrics: float) -> Any:
    group = SimpleNamespace(param_groups=[{"lr": 0.1}])
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=epoch * 3,
        is_global_zero=True,
        optimizers=[group],
        world_size=2,
        loggers=[],
        callback_metrics={f"validation/{k}": torch.tensor(v) for k, v in metrics.items()},
    )


def test_rows_and_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = History(path)
    first.on_train_start(trainer(0), MODULE)
    for epoch in range(3):
        first.on_train_epoch_end(trainer(epoch, uar=0.25 * epoch), MODULE)
    assert [row["validation/uar"] for row in read_history(path)] == [0.0, 0.25, 0.5]

    resumed = History(path, read_history(path))
    resumed.on_train_start(trainer(2), MODULE)
    resumed.on_train_epoch_end(trainer(2, uar=0.75, loss=1.0), MODULE)
    rows = read_history(path)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["validation/uar"] for row in rows] == [0.0, 0.25, 0.75]
    assert [row["validation/loss"] for row in rows] == [None, None, 1.0]


def test_what_is_measured_of_an_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([10.0, 14.0])
    monkeypatch.setattr(history.time, "monotonic", lambda: next(clock))
    told = Told()
    ran = trainer(0, uar=0.5)
    ran.loggers = [told]
    found = History(tmp_path / "metrics.csv")
    found.on_train_start(ran, MODULE)
    for index, utterances in enumerate((8, 8, 3)):
        found.on_train_batch_start(ran, MODULE, SimpleNamespace(labels=torch.zeros(utterances)), index)  # type: ignore[arg-type]
    ran.global_step = 3
    found.on_train_epoch_end(ran, MODULE)
    assert told.rows == [], "its checkpoint is not written yet"
    found.on_train_end(ran, MODULE)
    (row,) = read_history(tmp_path / "metrics.csv")
    assert (row["seconds"], row["utterances_per_second"]) == (4.0, (8 + 8 + 3) * 2 / 4.0)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    assert row["memory"] == pytest.approx(used, rel=0.05)
    assert told.rows == [({name: value for name, value in row.items() if name != "step"}, 2)]


class Told:
    """A logger that remembers."""

    def __init__(self) -> None:
        self.rows: list[tuple[dict[str, float], int]] = []

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        self.rows.append((metrics, step))


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.csv") == []
