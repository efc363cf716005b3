"""The learner that trains with Lightning: fits on the train part, selects on the validation part, predicts logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.data.datamodule import SERData
from ser_lightning.data.normalise import Normaliser
from ser_lightning.data.splits import Part
from ser_lightning.models.stream import StreamShape
from ser_lightning.training.history import History
from ser_lightning.training.module import SERModule
from ser_lightning.training.optimisation import class_weights
from ser_lightning.training.progress import progress
from ser_lightning.training.stopping import StopRequest, on_signals

MONITOR = "validation/uar"
"""Never the loss: it is lowest epochs before UAR is best."""


@dataclass(frozen=True)
class Fit:
    """What came of a training: epochs trained, the epoch whose weights were kept, seconds are in metrics.csv."""

    epochs: int
    best_epoch: int


class LightningLearner:
    """A network with its normaliser; `streams` names what it reads."""

    def __init__(self, config: Config, shapes: Mapping[str, StreamShape], classes: Sequence[str]) -> None:
        L.seed_everything(config.seed, workers=True, verbose=False)
        self.config, self.classes = config, list(classes)
        self.model = build("model", config.model, shapes, len(classes))
        self.streams: tuple[str, ...] = self.model.streams
        self.normaliser = Normaliser(
            {name: config.features[name]["normalise"] for name in self.streams},
            {name: shapes[name].dim for name in self.streams},
        )
        self.module = self._module()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        """Train, or go on from `folder/last.ckpt`; ends with `folder/best.ckpt` (weights only) alone and loaded."""
        rows = data.parts["train"]
        self.normaliser.fit(data.training_blocks())
        ids: dict[str, Sequence[str]] = {part: found.ids for part, found in data.parts.items()}
        self.module = self._module(class_weights(rows.labels, len(self.classes), self.config.training), ids)
        best, last = folder / "best.ckpt", folder / "last.ckpt"
        trainer = self._trainer(folder, logger, stop)
        with on_signals(stop):
            trainer.fit(self.module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        self.load(best)
        epoch = torch.load(best, weights_only=True)["epoch"]
        last.unlink(missing_ok=True)
        return Fit(epochs=trainer.current_epoch, best_epoch=epoch)

    def load(self, path: Path) -> None:
        """Take the weights and normalisation statistics of a checkpoint."""
        self.module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu")["state_dict"])

    def predict(self, data: SERData, part: Part) -> NDArray[np.float64]:
        """Logits (N, K) of a part's rows in their order, in evaluation mode."""
        trainer = L.Trainer(**self._shared(), logger=False, enable_checkpointing=False, enable_progress_bar=False)
        found: Any = trainer.predict(self.module, data.in_order(part))
        return torch.cat(found).double().numpy()

    def _module(self, weights: torch.Tensor | None = None, ids: Mapping[str, Sequence[str]] | None = None) -> SERModule:
        masked = [name for name in self.streams if self.config.features[name]["extractor"] == "log_mel"]
        return SERModule(
            self.model,
            self.normaliser,
            self.config.training,
            self.classes,
            masked,
            weights,
            ids,
            self.config.seed,
        )

    def _shared(self) -> dict[str, Any]:
        training = self.config.training
        return {
            "accelerator": training.accelerator,
            "devices": 1,
            "precision": training.precision,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
        }

    def _trainer(self, folder: Path, logger: Logger | None, stop: StopRequest) -> L.Trainer:
        training = self.config.training
        limit = training.limit_train_batches
        keep: dict[str, Any] = {
            "dirpath": folder,
            "enable_version_counter": False,
            "auto_insert_metric_name": False,
        }
        callbacks = [
            stop,
            History(folder.parent / "metrics.csv"),
            ModelCheckpoint(filename="best", monitor=MONITOR, mode="max", save_weights_only=True, **keep),
            *([EarlyStopping(MONITOR, mode="max", patience=training.patience)] if training.patience else []),
            progress(),
            # After the others, so that the state it saves is theirs at the epoch's end.
            ModelCheckpoint(filename="last", save_top_k=1, monitor=None, save_on_train_epoch_end=True, **keep),
        ]
        return L.Trainer(
            **self._shared(),
            max_epochs=training.max_epochs,
            logger=logger or False,
            callbacks=callbacks,
            limit_train_batches=int(limit) if limit is not None and limit >= 1 else limit,
            gradient_clip_val=training.gradient_clip_val,
            accumulate_grad_batches=training.accumulate_grad_batches,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder.parent,
            enable_progress_bar=console.is_terminal,
        )
