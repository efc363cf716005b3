"""Which epoch's weights are kept: by validation UAR, among equals by validation loss, also across a resume."""

from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.runs.beside import selected_on_test
from ser_lightning.training.checkpoints import BestCheckpoint, LastCheckpoint
from ser_lightning.training.history import best_epoch, merit

UARS = [0.5, 0.75, 0.75, 0.75, 0.5, 0.75]
LOSSES = [0.1, 0.9, 0.7, 0.8, 0.2, 0.7]
"""By hand: epochs 1, 2, 3 and 5 are equal in UAR; of these 2 and 5 have the lowest loss, and 2 was first."""


class Scripted(L.LightningModule):
    """Its one weight is the epoch; what it logs is written above."""

    def __init__(self) -> None:
        super().__init__()
        self.epoch = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        with torch.no_grad():
            self.epoch.fill_(self.current_epoch)
        return 0 * self.epoch.sum()

    def validation_step(self, batch: torch.Tensor, index: int) -> None:
        self.log_dict({"validation/uar": UARS[self.current_epoch], "validation/loss": LOSSES[self.current_epoch]})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def kept(folder: Path, *until: int) -> int:
    """The epoch that is kept after trainings to these numbers of epochs, each resumed from the one before."""
    ones: Any = DataLoader(torch.ones(1, 1))  # type: ignore[arg-type]
    for epochs in until:
        last = folder / "last.ckpt"
        off: dict[str, Any] = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        trainer = L.Trainer(
            accelerator="cpu",
            max_epochs=epochs,
            callbacks=[BestCheckpoint(folder), LastCheckpoint(folder)],
            num_sanity_val_steps=0,
            default_root_dir=folder,
            **off,
        )
        trainer.fit(Scripted(), ones, ones, ckpt_path=str(last) if last.exists() else None, weights_only=True)
    found = torch.load(folder / "best.ckpt", weights_only=True)
    assert found["state_dict"]["epoch"].item() == found["epoch"]
    return int(found["epoch"])


@pytest.mark.parametrize("until", [(1,), (2,), (3,), (6,), (2, 4, 6), (3, 6)])
def test_of_equal_uars_the_lower_loss_is_kept(tmp_path: Path, until: tuple[int, ...]) -> None:
    assert kept(tmp_path, *until) == {1: 0, 2: 1, 3: 2, 6: 2}[until[-1]]


def test_a_history_names_the_epoch_that_is_kept() -> None:
    rows = [
        {"epoch": epoch, "validation/uar": uar, "validation/loss": loss}
        for epoch, (uar, loss) in enumerate(zip(UARS, LOSSES, strict=True))
    ]
    assert best_epoch(rows) == 2  # type: ignore[arg-type]
    assert best_epoch(rows[:2]) == 1  # type: ignore[arg-type]
    assert best_epoch([]) is None


def test_the_same_recalls_summed_in_another_order_are_a_tie() -> None:
    recalls = np.array([1 / 3, 6 / 7, 2 / 11, 9 / 13], np.float32)
    one, other = float(recalls.mean()), float(np.float32(recalls[[2, 0, 3, 1]].sum() / 4))
    assert merit(one, 0.4) > merit(other, 0.5) and merit(other, 0.4) > merit(one, 0.5)
    # One more right of a class of a thousand is a better UAR, whatever the losses.
    assert merit(0.5 + 1 / 4000, 0.9) > merit(0.5, 0.1)


def test_an_epoch_that_is_selected_on_test_is_the_surest_of_equals() -> None:
    rows = Predictions(["a", "b"], ["1", "2"], ["s", "s"], ["test"] * 2, ["a", "b"], np.zeros((2, 2)))
    unsure, sure, wrong = np.eye(2), 5 * np.eye(2), np.ones((2, 2)) - np.eye(2)
    found = selected_on_test(rows, np.stack([wrong, unsure, sure, unsure]), np.array([0, 1, 2, 3]))
    assert found == {"wa": 1.0, "wa_epoch": 2, "uar": 1.0, "uar_epoch": 2}
