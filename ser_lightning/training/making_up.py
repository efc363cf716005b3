"""Epochs that were trained and that W&B does not know of, because the process that trained them was killed."""

from collections.abc import Mapping
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from ser_lightning.tracking.segments import logged_metrics
from ser_lightning.training.history import read_history


class MakingUp(L.Callback):
    """Where a training goes on, logs what metrics.csv has of the epochs before and W&B has not.

    wandb writes to its disk every 15 s or so (measured, 0.31.0); what kill -9 takes away would be a gap in every curve.

    Args:
        folder: of the run: its metrics.csv, and `wandb/` with what earlier processes logged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        logger = trainer.logger
        if trainer.current_epoch == 0 or not isinstance(logger, WandbLogger):
            return
        known, sent = logged_metrics(self.folder), logger.experiment.summary.get("epoch", -1)
        for row in read_history(self.folder / "metrics.csv"):
            epoch = int(row["epoch"] or 0)
            # Those from the checkpoint's epoch on are trained again; those that the server named were sent online.
            if sent < epoch < trainer.current_epoch and (missing := _missing(row, known)):
                logger.log_metrics(missing | {"epoch": epoch}, step=int(row["step"] or 0) - 1)


def _missing(row: Mapping[str, float | None], known: set[tuple[int, str]]) -> dict[str, float]:
    epoch = int(row["epoch"] or 0)
    return {
        name: value for name, value in row.items() if "/" in name and value is not None and (epoch, name) not in known
    }
