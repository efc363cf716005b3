"""`ser train`: from a configuration to a finished run folder."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.pictures import confusion_png, curves_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import write_csv, write_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import owned
from ser_lightning.runs.logs import logged_to, quieten
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.tracking.wandb import Identity, log_scores, tracked
from ser_lightning.training.history import read_history
from ser_lightning.training.learner import Fit, LightningLearner
from ser_lightning.training.stopping import StopRequest


def train(config: Config, stop: StopRequest | None = None) -> RunFolder:
    """Train one model and score its validation part; a finished run is returned as it stands.

    Raises:
        UserError: the corpus, the split or the device can't be used, the loss is not finite, another process has
            the run, or it was asked to stop.
    """
    device = find_device(config.training.accelerator)
    prepared = prepare(config)
    run = RunFolder(Path(config.runs_dir) / prepared.run_id)
    if run.finished:
        console.print(f"run {run.id} is finished already")
        return run
    with owned(run.lock), logged_to(run.log):
        if not run.finished:  # by another process, since it was asked above
            _train(prepared, run, run.begin(config), device, stop or StopRequest())
    return run


def _train(prepared: Prepared, run: RunFolder, attempt: int, device: torch.device, stop: StopRequest) -> None:
    began = time.monotonic()
    config, classes = prepared.config, prepared.corpus.classes
    parts, proof = prepared.split()
    write_split(run, prepared.corpus.utterances, parts, proof)
    console.print(proof.table())
    learner = LightningLearner(config, prepared.shapes, classes)
    data = prepared.data(parts, ("train", "validation"), learner.streams, device)
    console.print(
        f"run {run.id}: {learner.parameters:,} parameters on {device}; features "
        f"{'kept on the device' if data.resident else 'read from the store'}",
        soft_wrap=True,
    )
    identity = wandb_identity(prepared, run, attempt, proof)
    with tracked(config.tracking, identity, asdict(config), run.path) as logger:
        fit = learner.fit(data, run.checkpoints, logger, stop)
        found = predictions(prepared, parts, "validation", learner.predict(data, "validation"))
        found.write(run.predictions)
        result = _result(prepared, run, learner, fit, proof, time.monotonic() - began)
        draw(run, found, "validation", classes)
        curves_png(run.curves, read_history(run.metrics), fit.best_epoch, run.id)
        log_scores(logger, "validation", found.scores(), classes, run.confusion("validation"))
    write_json(run.result, result | {"validation": Predictions.read(run.predictions).scores().as_dict()})


def _result(
    prepared: Prepared, run: RunFolder, learner: LightningLearner, fit: Fit, proof: Proof, seconds: float
) -> dict[str, Any]:
    return {
        "id": run.id,
        "result_version": RESULT_VERSION,
        "experiment": prepared.config.experiment,
        "labels": ["speaker_dependent"] if proof.speaker_dependent else [],
        "manifest": prepared.corpus.manifest_digest,
        "classes": list(prepared.corpus.classes),
        "parameters": learner.parameters,
        "epochs": fit.epochs,
        "checkpoint": {"epoch": fit.best_epoch, "selected_by": "validation.uar"},
        "seconds": seconds,
    }


def find_device(accelerator: str) -> torch.device:
    """The device that Lightning will train on.

    Raises:
        UserError: the accelerator that was named is not there.
    """
    quieten()
    try:
        return L.Trainer(
            accelerator=accelerator,
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).strategy.root_device
    except Exception as error:
        raise UserError(
            f"training.accelerator={accelerator}: not available here ({error}); "
            "training.accelerator=cpu runs everywhere"
        ) from error


def write_split(run: RunFolder, utterances: Sequence[Utterance], parts: Assignment, proof: Proof) -> None:
    rows = ((u.id, u.speaker, u.session, u.label, u.digest, parts[u.id]) for u in utterances)
    write_csv(run.split, ("id", "speaker", "session", "label", "digest", "part"), rows)
    write_json(run.proof, proof.as_dict())


def predictions(prepared: Prepared, parts: Assignment, part: Part, logits: NDArray[np.float64]) -> Predictions:
    rows = [u for u in prepared.corpus.utterances if parts[u.id] == part]
    return Predictions(
        list(prepared.corpus.classes),
        [u.id for u in rows],
        [u.speaker for u in rows],
        [part] * len(rows),
        [u.label for u in rows],
        logits,
    )


def draw(run: RunFolder, found: Predictions, part: Part, classes: Sequence[str]) -> None:
    confusion_png(run.confusion(part), found.scores(), classes, f"{run.id}: {part}")


def wandb_identity(prepared: Prepared, run: RunFolder, attempt: int, proof: Proof) -> Identity:
    """The same id for every start of one run; a new one only after the run was removed."""
    config = prepared.config
    model, corpus = config.model["name"], config.corpus["name"]
    labels = ["speaker_dependent"] if proof.speaker_dependent else []
    return Identity(
        id=f"{run.id}-{attempt}",
        name=config.tracking.name or f"{model} {corpus} seed {config.seed}",
        group=config.tracking.group or config.experiment or "default",
        job_type="train",
        tags=[corpus, model, config.split["name"], *labels, *config.tracking.tags],
    )
