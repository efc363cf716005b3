"""What a run was made from and what it made, as W&B artifacts, whose lineage the dashboard draws."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ser_lightning.config.schema import Tracking
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.features.extractor import Extractor, extractor_key
from ser_lightning.tracking.wandb import Logger


@dataclass(frozen=True)
class Lineage:
    """What a run was made from, and its weights."""

    dataset: str
    """Name of the artifact that its training used."""
    source: Mapping[str, Any]
    """Corpus and features, each with the digest that decides the numbers."""
    model: str
    """Name of the artifact that it made."""
    kept: Sequence[Path]
    """Files of its weights."""
    facts: Mapping[str, Any]
    """What its learner says of it."""

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        name: str,
        extractors: Mapping[str, Extractor],
        attempt_id: str,
        kept: Sequence[Path],
        facts: Mapping[str, Any],
    ) -> Self:
        """A run's: it was made from the manifest of the corpus called `name`, and the keys of features in the store.

        Args:
            extractors: by stream, those whose features were used.
            attempt_id: the run's.
        """
        features = {
            stream: {"extractor": e.name, "version": e.version, "parameters": e.parameters, "key": extractor_key(e)}
            for stream, e in extractors.items()
        }
        source = {
            "manifest": corpus.manifest_digest,
            "classes": list(corpus.classes),
            "utterances": dict(corpus.counts),
        }
        return cls(f"{name}-features", source | {"features": features}, f"model-{attempt_id}", kept, facts)


def log_lineage(logger: Logger, settings: Tracking, lineage: Lineage) -> None:
    """The dataset artifact as what the run used, the model artifact as what it made; equal content is one version."""
    if settings.artifacts != "none":
        logger.attempt(lambda: _use_dataset(logger, lineage))
        logger.attempt(lambda: _log_model(logger, lineage, whole=settings.artifacts == "files"))


def _use_dataset(logger: Logger, lineage: Lineage) -> None:
    import wandb

    artifact = wandb.Artifact(lineage.dataset, "dataset", metadata=dict(lineage.source))
    with artifact.new_file("dataset.json") as file:
        file.write(json.dumps(lineage.source, indent=2, sort_keys=True))
    # What use_artifact does with a new artifact; itself it refuses offline, and online waits for the server.
    logger.experiment._log_artifact(artifact, use_after_commit=True)


def _log_model(logger: Logger, lineage: Lineage, whole: bool) -> None:
    import wandb

    artifact = wandb.Artifact(lineage.model, "model", metadata=dict(lineage.facts))
    for path in lineage.kept:
        if whole:
            artifact.add_file(str(path))
        else:
            artifact.add_reference(path.absolute().as_uri(), name=path.name)
    logger.experiment.log_artifact(artifact)
