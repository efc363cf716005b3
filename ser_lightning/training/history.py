"""metrics.csv: a row an epoch, followed by whoever watches the run, and continued when it resumes."""

import time
from pathlib import Path
from typing import Any

import lightning as L
from torch import Tensor

from ser_lightning.files import read_csv, write_csv


class History(L.Callback):
    """Writes every metric logged in an epoch; the file is replaced whole, so a follower never reads half a row."""

    def __init__(self, path: Path) -> None:
        self.path, self.rows = path, list[dict[str, float | None]]()
        self.began, self.rate = 0.0, 0.0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # After a resume, epochs that the checkpoint doesn't know of will be trained again.
        self.rows = [row for row in read_history(self.path) if (row["epoch"] or 0) < trainer.current_epoch]

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Any, index: int) -> None:
        if index == 0:
            self.began = time.monotonic()
            # Now, because at the epoch's end the schedule has set the next one's.
            self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        logged: dict[str, float | None] = {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if isinstance(value, Tensor) and "/" in name
        }
        row: dict[str, float | None] = {"epoch": trainer.current_epoch, "step": trainer.global_step}
        row |= {"learning_rate": self.rate, "seconds": time.monotonic() - self.began}
        self.rows.append(row | logged)
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        write_csv(self.path, columns, [["" if row.get(c) is None else row[c] for c in columns] for row in self.rows])


def read_history(path: Path) -> list[dict[str, float | None]]:
    """Rows of metrics.csv; a metric that an epoch doesn't have is None. No file: no rows."""
    if not path.exists():
        return []
    whole = ("epoch", "step")
    return [
        {name: (int(text) if name in whole else float(text)) if text else None for name, text in row.items()}
        for row in read_csv(path)
    ]
