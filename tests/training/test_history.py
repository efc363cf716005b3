"""metrics.csv is continued, not doubled, when a training resumes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from ser_lightning.training.history import History, read_history


def trainer(epoch: int, **metrics: float) -> Any:
    group = SimpleNamespace(param_groups=[{"lr": 0.1}])
    return SimpleNamespace(
        current_epoch=epoch,
        global_step=epoch * 3,
        is_global_zero=True,
        optimizers=[group],
        callback_metrics={f"validation/{k}": torch.tensor(v) for k, v in metrics.items()},
    )


def test_rows_and_resume(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    first = History(path)
    first.on_train_start(trainer(0), None)  # type: ignore[arg-type]
    for epoch in range(3):
        first.on_train_epoch_end(trainer(epoch, uar=0.25 * epoch), None)  # type: ignore[arg-type]
    assert [row["validation/uar"] for row in read_history(path)] == [0.0, 0.25, 0.5]

    resumed = History(path)
    resumed.on_train_start(trainer(2), None)  # type: ignore[arg-type]
    resumed.on_train_epoch_end(trainer(2, uar=0.75, loss=1.0), None)  # type: ignore[arg-type]
    rows = read_history(path)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    assert [row["validation/uar"] for row in rows] == [0.0, 0.25, 0.75]
    assert [row["validation/loss"] for row in rows] == [None, None, 1.0]


def test_no_file_no_rows(tmp_path: Path) -> None:
    assert read_history(tmp_path / "none.csv") == []
