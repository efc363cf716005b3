"""Epochs that were trained and that a logger does not know of."""

from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import WandbLogger

from ser_lightning.tracking.segments import logged_metrics
from ser_lightning.training.history import Row, read_history, tell


class MakingUp(L.Callback):
    """Where a training goes on, logs what metrics.csv has of the epochs before and a logger has not.

    wandb writes to its disk every 15 s or so (measured, 0.31.0); what kill -9 takes away would be a gap in every curve.
    Loggers that write files begin them anew, see `tracking.loggers`, and are told all of it.

    Args:
        folder: of the run: its metrics.csv, and `wandb/` with what earlier processes logged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # Those from the checkpoint's epoch on are trained again.
        rows = [row for row in read_history(self.folder / "metrics.csv") if (row["epoch"] or 0) < trainer.current_epoch]
        for logger in trainer.loggers if rows else []:
            for row in self._lost(logger, rows) if isinstance(logger, WandbLogger) else rows:
                tell(logger, row)

    def _lost(self, logger: WandbLogger, rows: list[Row]) -> list[Row]:
        """Of each epoch what W&B lacks; those that the server named were sent online."""
        known, sent = logged_metrics(self.folder), logger.experiment.summary.get("epoch", -1)
        later = [row for row in rows if (row["epoch"] or 0) > sent]
        missing = [{name: row[name] for name in row if (row["epoch"], name) not in known} for row in later]
        return [
            lacks | {"epoch": row["epoch"], "step": row["step"]}
            for row, lacks in zip(later, missing, strict=True)
            if set(lacks) - {"epoch", "step"}
        ]
