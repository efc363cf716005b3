"""Epochs that a logger does not know of: of an earlier start, or trained in other processes."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import lightning as L
from lightning.pytorch.loggers import Logger as AnyLogger

from ser_lightning.tracking.segments import logged_metrics
from ser_lightning.tracking.wandb import Logger
from ser_lightning.training.history import EpochRow, last_epoch, read_history, tell


class MakingUp(L.Callback):
    """Where a training goes on, makes up for the epochs before; see `make_up`.

    Args:
        folder: of the run.
        before: the rows that earlier starts left in metrics.csv.
    """

    def __init__(self, folder: Path, before: Sequence[EpochRow]) -> None:
        self.folder, self.before, self.begun = folder, before, False

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.begun = True
        self._make_up(trainer)

    def on_fit_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        # Killed after its last epoch, it has none left, and Lightning starts no training.
        if not self.begun:
            self._make_up(trainer)

    def _make_up(self, trainer: L.Trainer) -> None:
        # Those from the checkpoint's epoch on are trained again.
        known = [row for row in self.before if (row["epoch"] or 0) < trainer.current_epoch]
        make_up(trainer.loggers, self.folder, known)


class RankEpochs:
    """Tells W&B the epochs that ranks train, as metrics.csv has them, in the process that has the run.

    The last row waits for the next, or for the ranks' end: without its checkpoint, as on a full disk, that epoch is
    trained, and told, again.
    """

    def __init__(self, logger: Logger, folder: Path) -> None:
        self.logger, self.folder, self.metrics = logger, folder, folder / "metrics.csv"
        self._seen = self._changed()
        self._told: int | None = None
        """The last epoch that was told; None before the ranks have trained one."""

    def look(self) -> None:
        if (changed := self._changed()) != self._seen:
            self._seen = changed
            self._tell(read_history(self.metrics)[:-1])

    def ended(self) -> None:
        """The ranks have ended well."""
        self._tell(read_history(self.metrics))

    def _tell(self, rows: Sequence[EpochRow]) -> None:
        if self._told is None:
            make_up([self.logger], self.folder, rows)
        else:
            for row in rows:
                if (row["epoch"] or 0) > self._told:
                    tell(self.logger, row)
        self._told = -1 if (last := last_epoch(rows)) is None else last

    def _changed(self) -> int:
        return self.metrics.stat().st_mtime_ns if self.metrics.exists() else 0


def make_up(loggers: Sequence[AnyLogger], folder: Path, rows: Sequence[EpochRow]) -> None:
    """Log what `rows` of metrics.csv have and a logger has not.

    wandb writes to its disk every 15 s or so (measured, 0.31.0); what kill -9 takes away would be a gap in every curve.
    Loggers that write files begin them anew, see `tracking.loggers`, and are told all of it.

    Args:
        folder: of the run, in whose `wandb/` is what earlier processes logged.
    """
    for logger in loggers if rows else []:
        if isinstance(logger, Logger):
            logger.attempt(partial(_tell_lost, logger, folder, rows))
            continue
        for row in rows:
            tell(logger, row)


def _tell_lost(logger: Logger, folder: Path, rows: Sequence[EpochRow]) -> None:
    for row in _lost(logger, folder, rows):
        tell(logger, row)


def _lost(logger: Logger, folder: Path, rows: Sequence[EpochRow]) -> list[EpochRow]:
    """Of each epoch what W&B lacks; those that the server named were sent online."""
    known, sent = logged_metrics(folder), logger.experiment.summary.get("epoch", -1)
    later = [row for row in rows if (row["epoch"] or 0) > sent]
    missing = [{name: row[name] for name in row if (row["epoch"], name) not in known} for row in later]
    return [
        lacks | {"epoch": row["epoch"], "step": row["step"]}
        for row, lacks in zip(later, missing, strict=True)
        if set(lacks) - {"epoch", "step"}
    ]
