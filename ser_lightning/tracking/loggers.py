"""Loggers beside W&B, which write their files into the run's folder: `tensorboard/` and `csv/`."""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from ser_lightning.errors import UserError

KINDS: Mapping[str, Callable[[Path], Logger]] = {
    "tensorboard": lambda folder: TensorBoardLogger(folder, "tensorboard", "", default_hp_metric=False),
    "csv": lambda folder: CSVLogger(folder, "csv", "", flush_logs_every_n_steps=1),
}
WRITTEN = ("events.out.tfevents.*", "metrics.csv", "hparams.yaml")
"""What they write; more is not removed of a folder."""


def check_loggers(names: Sequence[str]) -> None:
    """Raises UserError: a logger's package is not installed."""
    if "tensorboard" in names and find_spec("tensorboard") is None:
        raise UserError(
            "tracking.also=[tensorboard]: the package tensorboard is not installed; pip install "
            "'ser-lightning[tensorboard]', or leave it out of tracking.also"
        )


def loggers(names: Sequence[str], folder: Path) -> list[Logger]:
    """Loggers that begin their files anew: a training that goes on tells them its earlier epochs again.

    Else a process that was killed would leave gaps, and epochs that are trained again would be there twice.
    """
    for name in names:
        for pattern in WRITTEN:
            for old in (folder / name).glob(pattern):
                old.unlink()
    return [KINDS[name](folder) for name in names]
