"""What training and evaluation make of logits: rows, pictures, and what W&B is told."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_lightning.config.schema import Config
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.evaluation.pictures import confusion_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.features.audio import read_audio
from ser_lightning.features.extractor import extractor_key
from ser_lightning.files import read_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.artifacts import Lineage
from ser_lightning.tracking.private import ENVIRONMENT
from ser_lightning.tracking.tables import Recording
from ser_lightning.tracking.wandb import Identity, tags


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


def wandb_identity(config: Config, run: RunFolder, labels: Sequence[str]) -> Identity:
    """The same id for every start of one run; a new one only after the run was removed."""
    return Identity(
        id=run.attempt_id,
        name=config.tracking.name or f"{config.model['name']} {config.corpus['name']} seed {config.seed}",
        group=config.tracking.group or config.experiment or "default",
        job_type=config.tracking.job_type,
        tags=tags(config, labels),
    )


def wandb_config(config: Config, run: RunFolder) -> dict[str, Any]:
    """The configuration as W&B shows it: nested, with the run's environment and the proof of its split."""
    whole = asdict(config)
    for name, path in (("environment", run.environment), ("split_proof", run.proof)):
        if path.exists():
            whole[name] = read_json(path)
    if config.tracking.private and "environment" in whole:
        whole["environment"] = {k: v for k, v in whole["environment"].items() if k not in ENVIRONMENT}
    return whole


def recording_of(prepared: Prepared) -> Recording:
    """Reads an utterance's audio, as one channel at its own sample rate, by its id."""
    known = {u.id: u for u in prepared.corpus.utterances}

    def read(name: str) -> tuple[NDArray[np.float32], int]:
        found = known[name]
        rate = found.sample_rate
        return read_audio(found.path, found.digest, [rate])[rate].numpy(), rate

    return read


def lineage(
    prepared: Prepared, run: RunFolder, streams: Sequence[str], kept: Sequence[Path], facts: Mapping[str, Any]
) -> Lineage:
    """What the run was made from: the corpus's manifest and the keys of the features in the store; and what it made."""
    corpus = prepared.corpus
    used = {name: prepared.extractors[name] for name in streams}
    features = {
        name: {"extractor": one.name, "version": one.version, "parameters": one.parameters, "key": extractor_key(one)}
        for name, one in used.items()
    }
    source = {"manifest": corpus.manifest_digest, "classes": list(corpus.classes), "utterances": dict(corpus.counts)}
    name = prepared.config.corpus["name"]
    return Lineage(f"{name}-features", source | {"features": features}, f"model-{run.attempt_id}", kept, facts)
