"""metrics.csv: a row an epoch, followed by whoever watches the run, and continued when it resumes."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger
from torch import Tensor

from ser_lightning.data.batching import Batch
from ser_lightning.files import read_csv, write_csv
from ser_lightning.training.memory import peak_memory

EpochRow = dict[str, float | None]
"""An epoch's metrics by name; None where it has no such metric."""

DIGITS = 6


class History(L.Callback):
    """Writes what an epoch logged, and tells the loggers the same; a follower of the file never reads half a row.

    Beside the metrics that the module logs a row has `epoch`, `step` (optimiser steps so far), `learning_rate` (the
    first step's), `seconds` (validation included), `utterances_per_second` (training utterances of all ranks over those
    seconds) and `memory` (MiB that the first rank's process held at the most so far, see `peak_memory`).
    """

    def __init__(self, path: Path, before: Sequence[EpochRow] = ()) -> None:
        """`before`: the rows that earlier starts left in the file."""
        self.path, self.rows, self.untold = path, list(before), list[EpochRow]()
        self.began, self.rate, self.utterances = 0.0, 0.0, 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # After a resume, epochs that the checkpoint doesn't know of will be trained again.
        self.rows = [row for row in self.rows if (row["epoch"] or 0) < trainer.current_epoch]

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch: Batch, index: int) -> None:
        if index == 0:
            self.began, self.utterances = time.monotonic(), 0
            # Now, because at the epoch's end the schedule has set the next one's.
            self.rate = trainer.optimizers[0].param_groups[0]["lr"]
        self.utterances += len(batch.labels)

    def on_train_epoch_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        row: EpochRow = {"epoch": trainer.current_epoch, "step": trainer.global_step, **self._measured(trainer, module)}
        logged = sorted(trainer.callback_metrics.items())
        self.rows.append(row | {name: float(value) for name, value in logged if isinstance(value, Tensor)})
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        write_csv(self.path, columns, [["" if row.get(c) is None else row[c] for c in columns] for row in self.rows])
        self.untold = self.rows[-1:]

    # Not before its checkpoint is written: without that, as on a full disk, the epoch is trained and told again.
    def on_train_epoch_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._tell(trainer)

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self._tell(trainer)

    def _tell(self, trainer: L.Trainer) -> None:
        for logger in trainer.loggers if self.untold else []:
            tell(logger, self.untold[0])
        self.untold = []

    def _measured(self, trainer: L.Trainer, module: L.LightningModule) -> EpochRow:
        seconds = time.monotonic() - self.began
        return {
            "learning_rate": self.rate,
            "seconds": seconds,
            "utterances_per_second": self.utterances * trainer.world_size / seconds,
            "memory": peak_memory(module.device),
        }


def tell(logger: Logger, row: Mapping[str, float | None]) -> None:
    """Log an epoch's row, under the number of its last optimiser step."""
    found = {name: value for name, value in row.items() if name != "step" and value is not None}
    logger.log_metrics(found, step=int(row["step"] or 0) - 1)


def read_history(path: Path) -> list[EpochRow]:
    """Rows of metrics.csv; a metric that an epoch doesn't have is None. No file: no rows."""
    if not path.exists():
        return []
    whole = ("epoch", "step")
    return [
        {name: (int(text) if name in whole else float(text)) if text else None for name, text in row.items()}
        for row in read_csv(path)
    ]


def merit(uar: float, loss: float) -> tuple[float, float]:
    """What makes an epoch better than another: its validation UAR and, where that is equal, its lower validation loss.

    UARs that differ beyond `DIGITS` are equal: the same recalls, summed in another order in single precision.
    """
    return round(uar, DIGITS), -loss


def best_epoch(rows: Sequence[EpochRow]) -> int | None:
    """The epoch of metrics.csv's rows whose weights are kept; of equal merit the first. None where there are none."""
    if not rows:
        return None
    best = max(rows, key=lambda row: merit(row["validation/uar"] or 0.0, row["validation/loss"] or 0.0))
    return int(best["epoch"] or 0)


def last_epoch(rows: Sequence[EpochRow]) -> int | None:
    """The last epoch of metrics.csv's rows; None where there are none."""
    return int(rows[-1]["epoch"] or 0) if rows else None
