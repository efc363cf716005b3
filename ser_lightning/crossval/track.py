"""The one W&B run that sums a cross-validation up, in the group of its folds."""

from dataclasses import asdict

from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.evaluation.pictures import confusion_png
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.wandb import Identity, log_scores, tracked


def track(base: Prepared, folder: CrossvalFolder) -> None:
    """Draw the pooled confusion matrix, and log it with the pooled figures."""
    config, result = base.config, folder.read_result()
    rows = Pooled.read(folder.predictions).rows
    title = ", ".join([f"{folder.id}: pooled test", *result["labels"]])
    confusion_png(folder.confusion, rows.scores(), rows.classes, title)
    identity = Identity(
        id=folder.attempt_id,
        name=config.tracking.name or f"{config.model['name']} {config.corpus['name']} {config.split['name']}",
        group=config.tracking.group or folder.id,
        job_type="summary",
        tags=[config.corpus["name"], config.model["name"], config.split["name"], *result["labels"]],
    )
    with tracked(config.tracking, identity, asdict(config), folder.path) as logger:
        log_scores(logger, "test", rows.scores(), rows.classes, folder.confusion)
        if logger:
            logger.experiment.summary.update({"figures": result["figures"]})
