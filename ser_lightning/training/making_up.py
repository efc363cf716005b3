"""Epochs that were trained and that a logger does not know of."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger as AnyLogger

from ser_lightning.tracking.segments import logged_metrics
from ser_lightning.tracking.wandb import Logger
from ser_lightning.training.history import Row, read_history, tell


class MakingUp(L.Callback):
    """Where a training goes on, makes up for the epochs before; see `make_up`.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.begun = folder, False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # Those from the checkpoint's epoch on are trained again.
        self.begun = True
        make_up(trainer.loggers, self.folder, trainer.current_epoch)

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # Killed after its last epoch, it has none left, and Lightning starts no training.
        if not self.begun:
            make_up(trainer.loggers, self.folder, trainer.current_epoch)


def make_up(loggers: Sequence[AnyLogger], folder: Path, epochs: int) -> None:
    """Log what metrics.csv has of the first `epochs` epochs and a logger has not.

    wandb writes to its disk every 15 s or so (measured, 0.31.0); what kill -9 takes away would be a gap in every curve.
    Loggers that write files begin them anew, see `tracking.loggers`, and are told all of it.

    Args:
        folder: of the run: its metrics.csv, and `wandb/` with what earlier processes logged.
    """
    rows = [row for row in read_history(folder / "metrics.csv") if (row["epoch"] or 0) < epochs]
    for logger in loggers if rows else []:
        if isinstance(logger, Logger):
            logger.attempt(partial(_tell_lost, logger, folder, rows))
            continue
        for row in rows:
            tell(logger, row)


def _tell_lost(logger: Logger, folder: Path, rows: Sequence[Row]) -> None:
    for row in _lost(logger, folder, rows):
        tell(logger, row)


def _lost(logger: Logger, folder: Path, rows: Sequence[Row]) -> list[Row]:
    """Of each epoch what W&B lacks; those that the server named were sent online."""
    known, sent = logged_metrics(folder), logger.experiment.summary.get("epoch", -1)
    later = [row for row in rows if (row["epoch"] or 0) > sent]
    missing = [{name: row[name] for name in row if (row["epoch"], name) not in known} for row in later]
    return [
        lacks | {"epoch": row["epoch"], "step": row["step"]}
        for row, lacks in zip(later, missing, strict=True)
        if set(lacks) - {"epoch", "step"}
    ]
