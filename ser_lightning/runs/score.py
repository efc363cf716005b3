"""A part of a run is predicted and its rows are shown: as a picture, and to W&B."""

from collections.abc import Sequence

from ser_lightning.data.datamodule import SERData
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.evaluation.pictures import confusion_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.tables import log_part, recordings
from ser_lightning.tracking.wandb import Logger
from ser_lightning.training.learner import Learner


def predict(prepared: Prepared, learner: Learner, data: SERData, parts: Assignment, part: Part) -> Predictions:
    """Rows of a part, in the corpus's order."""
    rows = (u for u in prepared.corpus.utterances if parts[u.id] == part)
    return Predictions.of(rows, prepared.corpus.classes, part, learner.predict(data, part))


def draw(prepared: Prepared, run: RunFolder, found: Predictions, part: Part, labels: Sequence[str]) -> None:
    """The part's confusion matrix, with what it has to be read with in its title; nothing where pictures are off."""
    if prepared.config.pictures:
        confusion_png(run.confusion(part), found.scores(), found.classes, ", ".join([f"{run.id}: {part}", *labels]))


def tell(logger: Logger, prepared: Prepared, run: RunFolder, found: Predictions, part: Part, epoch: int | None) -> None:
    """Show the part in W&B at the last `epoch` trained; None where there are none."""
    sounds, tracking = recordings(prepared.corpus.utterances), prepared.config.tracking
    log_part(logger, part, found, run.confusion(part), tracking, sounds, epoch)
