"""The learner that trains a network with Lightning."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray
from torch import nn

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.data.datamodule import SERData
from ser_lightning.data.normalise import Normaliser
from ser_lightning.data.splits import Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.summary import PATIENCE
from ser_lightning.files import read_json, write_json
from ser_lightning.models.lstm import adapt, has_bfloat16
from ser_lightning.models.stream import StreamShape
from ser_lightning.models.synchronise import synchronise
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.tracking.loggers import check_loggers, loggers
from ser_lightning.training.checkpoints import (
    MONITOR,
    BestCheckpoint,
    EveryEpoch,
    LastCheckpoint,
    WholeFileIO,
    keep_last_weights,
    read_checkpoint,
)
from ser_lightning.training.history import EpochRow, History, read_history
from ser_lightning.training.learner import Fit
from ser_lightning.training.making_up import MakingUp, make_up
from ser_lightning.training.memory import shared_memory
from ser_lightning.training.module import SERModule
from ser_lightning.training.optimisation import class_weights
from ser_lightning.training.progress import progress
from ser_lightning.training.same_weights import same_weights
from ser_lightning.training.stopping import Stopping, interrupts


class LightningLearner:
    """A network with its normaliser; `streams` names what it reads."""

    def __init__(self, config: Config, shapes: Mapping[str, StreamShape], classes: Sequence[str]) -> None:
        L.seed_everything(config.seed, workers=True, verbose=False)
        self.config, self.shapes, self.classes = config, shapes, list(classes)
        self.model = _network(config, shapes, len(classes))
        self.streams: tuple[str, ...] = self.model.streams
        self.normaliser = Normaliser(
            {name: config.features[name]["normalise"] for name in self.streams},
            {name: shapes[name].dim for name in self.streams},
        )
        self.lstms = adapt(self.model)
        self._check_mixup()
        check_loggers(config.tracking.also)
        if config.training.sync_batchnorm:
            synchronise(self.model)
        self.module = self._module()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters() if p.requires_grad)

    def described(self, device: torch.device) -> str:
        way = getattr(self.model, "recurrence_on", None)
        low = device.type == "cpu" and self.config.training.precision == "bf16-mixed"
        told = [
            f"{self.parameters:,} parameters",
            f"recurrence: {way(device)}" if way else "",
            "LSTM in float32: this processor has none in bfloat16" if low and self.lstms and not has_bfloat16() else "",
        ]
        return ", ".join(filter(None, told))

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        """Ends with `folder/best.ckpt` (weights only); the optimiser's state goes when the training is over."""
        done = folder / "fit.json"
        before = read_history(folder.parent / "metrics.csv")
        if done.exists():
            fit = Fit(read_json(done), before)
            make_up([logger] if logger else [], folder.parent, before)
        else:
            fit = self._fit(data, folder, logger, stop, before)
            if data.rank == 0:
                keep_last_weights(folder)
                write_json(done, fit.facts)
                (folder / "last.ckpt").unlink(missing_ok=True)
        self.load(folder)
        return fit

    def _fit(
        self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest, before: Sequence[EpochRow]
    ) -> Fit:
        rows = data.parts["train"]
        self.normaliser.fit(data.training_blocks())
        ids: dict[str, Sequence[str]] = {part: found.ids for part, found in data.parts.items()}
        self.module = self._module(class_weights(rows.labels, len(self.classes), self.config.training), ids)
        files = loggers(self.config.tracking.also, folder.parent) if data.rank == 0 else []
        logs = [*([logger] if logger else []), *files]
        history = History(folder.parent / "metrics.csv", before)
        first = [MakingUp(folder.parent, before), Stopping(stop), history]
        trainer, last = self._trainer(folder, logs, first, data), folder / "last.ckpt"
        with on_signals(stop), interrupts(), shared_memory(self.config.training.num_workers):
            trainer.fit(self.module, data, ckpt_path=str(last) if last.exists() else None, weights_only=True)
        if data.ranks > 1:
            same_weights(trainer, self.module)
        epoch = read_checkpoint(folder / "best.ckpt")["epoch"]
        chosen = {"epoch": epoch, "selected_by": "validation.uar", "utterances": len(data.parts["validation"].ids)}
        epochs = trainer.current_epoch
        ended_by = "max_epochs" if epochs == self.config.training.max_epochs else PATIENCE
        learnt = {"parameters": self.parameters, "epochs": epochs, "ended_by": ended_by, "fitted_on": ["train"]}
        return Fit({**learnt, "checkpoint": chosen}, history.rows)

    def load(self, folder: Path, state: str = "best") -> None:
        """Take the weights and normalisation statistics of `folder/best.ckpt`, or of another state."""
        file = folder / f"{state}.ckpt"
        if not file.exists():
            raise UserError(f"{file} is gone; remove the run's folder and train it again")
        self.module.load_state_dict(read_checkpoint(file)["state_dict"])

    def others(self, folder: Path) -> list[str]:
        """The last epoch's, and with training.keep_epochs every epoch's."""
        found = (path.stem for path in folder.glob("*.ckpt"))
        return sorted(name for name in found if name == "last_epoch" or name.startswith("epoch_"))

    def predict(self, data: SERData, part: Part) -> NDArray[np.float64]:
        """Logits (N, K) of a part's rows in their order, in evaluation mode."""
        trainer = L.Trainer(
            **self._shared(),
            devices=1,
            plugins=[_place(1)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        with interrupts(), shared_memory(self.config.training.num_workers):
            found: Any = trainer.predict(self.module, data.in_order(part))
        return torch.cat(found).double().numpy()

    def _module(self, weights: torch.Tensor | None = None, ids: Mapping[str, Sequence[str]] | None = None) -> SERModule:
        training = self.config.training
        return SERModule(
            self.model, self.normaliser, training, self.classes, self._masked(), weights, ids, self.config.seed
        )

    def _check_mixup(self) -> None:
        """Raises UserError: mixup would let a shorter utterance count as 0 where that is not its mean."""
        features = self.config.features
        raw = [n for n in self.streams if features[n]["normalise"] == "none" and features[n]["frames"] is None]
        if self.config.training.mixup and raw:
            raise UserError(
                f"training.mixup: a shorter utterance goes on as 0, which is no mean of `{raw[0]}`: "
                f"set features.{raw[0]}.normalise=global or features.{raw[0]}.frames=..., or training.mixup=0"
            )

    def _masked(self) -> list[str]:
        """Spectrograms that SpecAugment masks: none where it is off."""
        settings = self.config.training.spec_augment
        if settings.time_masks == settings.mel_masks == 0:
            return []
        masked = [name for name in self.streams if self.shapes[name].spectrogram]
        if raw := [name for name in masked if self.config.features[name]["normalise"] == "none"]:
            raise UserError(
                f"training.spec_augment masks with 0, which is no mean of `{raw[0]}`: "
                f"set features.{raw[0]}.normalise=global, or the masks to 0"
            )
        return masked

    def _shared(self) -> dict[str, Any]:
        training = self.config.training
        return {
            "accelerator": training.accelerator,
            "precision": training.precision,
            "enable_model_summary": False,
            "use_distributed_sampler": False,
        }

    def _trainer(self, folder: Path, logs: list[Logger], first: Sequence[L.Callback], data: SERData) -> L.Trainer:
        training, ranks = self.config.training, data.ranks
        limit = training.limit_train_batches
        callbacks: list[L.Callback] = [*first, BestCheckpoint(folder), progress()]
        if training.patience is not None:
            callbacks.append(EarlyStopping(MONITOR, mode="max", patience=training.patience))
        if training.keep_epochs:
            callbacks.append(EveryEpoch(folder))
        # After the others, so that the state it saves is theirs at the epoch's end.
        callbacks.append(LastCheckpoint(folder))
        return L.Trainer(
            **self._shared(),
            max_epochs=training.max_epochs,
            logger=logs,
            callbacks=callbacks,
            devices=training.devices if ranks > 1 else 1,
            num_nodes=training.num_nodes if ranks > 1 else 1,
            strategy="ddp" if ranks > 1 else "auto",
            plugins=[WholeFileIO(), _place(ranks)],
            # Lightning counts an epoch's batches when it loads them.
            reload_dataloaders_every_n_epochs=int(data.batches.vary),
            limit_train_batches=int(limit) if limit is not None and limit >= 1 else limit,
            gradient_clip_val=training.gradient_clip_val,
            accumulate_grad_batches=training.accumulate_grad_batches,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            default_root_dir=folder.parent,
            enable_progress_bar=console.is_terminal,
        )


def _place(ranks: int) -> ClusterEnvironment:
    """Named, because Lightning asks for a scheduler's environment first, which knows nothing of these ranks."""
    return TorchElasticEnvironment() if ranks > 1 else LightningEnvironment()


def _network(config: Config, shapes: Mapping[str, StreamShape], num_classes: int) -> Any:
    model = build("model", config.model, shapes, num_classes)
    if not isinstance(model, nn.Module):
        name = config.model["name"]
        raise UserError(f"training.learner=lightning: model `{name}` is no network; choose training=classical")
    return model
