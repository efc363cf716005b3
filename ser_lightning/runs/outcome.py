"""What training and evaluation make of logits: rows, pictures, and what W&B is told."""

import resource
import sys
from collections.abc import Sequence
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from numpy.typing import NDArray

from ser_lightning.config.schema import Config, Training
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.pictures import confusion_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import quieten
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.wandb import Identity


def find_device(training: Training) -> torch.device:
    """The device that Lightning will train on.

    Raises:
        UserError: the accelerator that was named is not there, or can't do the precision.
    """
    quieten()
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet: dict[str, Any] = dict.fromkeys(off, False)
    try:
        trainer = L.Trainer(accelerator=training.accelerator, devices=1, plugins=[LightningEnvironment()], **quiet)
    except Exception as error:
        raise UserError(
            f"training.accelerator={training.accelerator}: not available here ({error}); "
            "training.accelerator=cpu runs everywhere"
        ) from error
    device = trainer.strategy.root_device
    if device.type == "cuda" and training.devices > torch.cuda.device_count():
        raise UserError(f"training.devices={training.devices}: there are {torch.cuda.device_count()} GPUs here")
    if device.type == "mps" and training.devices > 1:
        raise UserError("training.devices: ranks share no mps device; use training.devices=1 or accelerator=cpu")
    if device.type == "cpu" and training.precision == "16-mixed":
        # Lightning would go on in bfloat16 with a warning.
        raise UserError("training.precision=16-mixed needs a GPU; on a CPU use bf16-mixed or 32")
    return device


def peak_memory(device: torch.device) -> float:
    """MiB that this process held at the most: on the device where that is a GPU, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10  # bytes there, KiB on Linux


def rows_of(prepared: Prepared, parts: Assignment, part: Part, logits: NDArray[np.float64]) -> Predictions:
    """Predictions of a part whose `logits` (N, K) are in the corpus's order."""
    rows = [u for u in prepared.corpus.utterances if parts[u.id] == part]
    return Predictions(
        list(prepared.corpus.classes),
        [u.id for u in rows],
        [u.speaker for u in rows],
        [part] * len(rows),
        [u.label for u in rows],
        logits,
    )


def draw(config: Config, run: RunFolder, found: Predictions, part: Part, labels: Sequence[str]) -> None:
    """The part's confusion matrix, with what it has to be read with in its title; nothing where pictures are off."""
    title = ", ".join([f"{run.id}: {part}", *labels])
    if config.pictures:
        confusion_png(run.confusion(part), found.scores(), found.classes, title)


def wandb_identity(prepared: Prepared, run: RunFolder, proof: Proof) -> Identity:
    """The same id for every start of one run; a new one only after the run was removed."""
    config = prepared.config
    model, corpus = config.model["name"], config.corpus["name"]
    return Identity(
        id=run.attempt_id,
        name=config.tracking.name or f"{model} {corpus} seed {config.seed}",
        group=config.tracking.group or config.experiment or "default",
        job_type=config.tracking.job_type,
        tags=[corpus, model, config.split["name"], *proof.labels, *config.tracking.tags],
    )
