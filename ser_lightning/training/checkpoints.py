"""Checkpoints that are whole or not there, and that survive a run folder that was moved."""

import io
import math
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from ser_lightning.errors import UserError
from ser_lightning.files import MEND, replacing
from ser_lightning.training.history import merit

MONITOR, LOSS = "validation/uar", "validation/loss"
"""Epochs are chosen by the first; by the second, which is lowest epochs before UAR is best, only among equals."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint on the CPU.

    Raises:
        UserError: it is no whole one.
    """
    try:
        return torch.load(path, weights_only=True, map_location="cpu")  # type: ignore[no-any-return]
    except (UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error).partition("\n")[0].partition(". In PyTorch")[0]
        raise UserError(f"{path} is broken ({why or 'it ends too early'}): {MEND}") from error


class WholeFileIO(TorchCheckpointIO):
    """Lightning writes through the system's temporary folder, which is a copy in place where that is another disk."""

    def load_checkpoint(self, path: _PATH, *_: Any, **__: Any) -> dict[str, Any]:
        return read_checkpoint(Path(path))

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        # By way of memory: torch's own writer says of a full disk only that a position is unexpected.
        torch.save(checkpoint, whole := io.BytesIO())
        with replacing(Path(path)) as temporary:
            temporary.write_bytes(whole.getbuffer())


class BestCheckpoint(ModelCheckpoint):
    """Weights of the epoch with the best validation UAR, of equals the lowest loss, `folder/best.ckpt`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "best", MONITOR, mode="max", save_weights_only=True, enable_version_counter=False,
            auto_insert_metric_name=False,
        )  # fmt: skip
        self.best_loss = math.inf

    def check_monitor_top_k(self, trainer: L.Trainer, current: Tensor | None = None) -> bool:
        """Whether the epoch that has just ended is to be kept."""
        if current is None:
            return False
        loss, best = float(trainer.callback_metrics[LOSS]), self.best_model_score
        better = best is None or merit(float(current), loss) > merit(float(best), self.best_loss)
        if better := trainer.strategy.reduce_boolean_decision(better):  # all ranks decide alike
            self.best_loss = loss
        return better

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"best_loss": self.best_loss}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss = state_dict["best_loss"]
        # Lightning forgets the best score when the folder's absolute path is another than when it was saved.
        best = str(Path(self.dirpath or "") / "best.ckpt")
        moved = {"dirpath": self.dirpath, "best_model_path": best, "kth_best_model_path": best}
        scores = dict.fromkeys([best], state_dict["best_model_score"])
        super().load_state_dict(state_dict | moved | {"best_k_models": scores})


class LastCheckpoint(ModelCheckpoint):
    """Everything needed to go on after the last whole epoch, `folder/last.ckpt`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "last", save_on_train_epoch_end=True, enable_version_counter=False, auto_insert_metric_name=False
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """It has nothing to remember but its file, which is where it is now."""


class EveryEpoch(ModelCheckpoint):
    """Weights of every epoch, `folder/epoch_000.ckpt` and on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            folder, "epoch_{epoch:03d}", save_top_k=-1, save_weights_only=True, save_on_train_epoch_end=True,
            enable_version_counter=False, auto_insert_metric_name=False,
        )  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to remember: an epoch that is trained again replaces its file."""


def keep_last_weights(folder: Path) -> None:
    """`last_epoch.ckpt`, the weights of `last.ckpt`: a finished training needs no optimiser."""
    last = folder / "last.ckpt"
    if last.exists():
        state = read_checkpoint(last)
        weights = {"state_dict": state["state_dict"], "epoch": state["epoch"]}
        WholeFileIO().save_checkpoint(weights, folder / "last_epoch.ckpt")
