"""The one W&B run that sums a cross-validation up, in the group of its folds."""

from dataclasses import asdict

from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.files import write_text
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.wandb import Identity, log_scores, tracked


def track(base: Prepared, folder: CrossvalFolder) -> None:
    """Log the pooled figures and confusion matrix, once: after a kill the next start makes up for it."""
    config, result = base.config, folder.read_result()
    if folder.tracked.exists() or config.tracking.mode == "off":
        return
    rows = Pooled.read(folder.predictions).rows
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
    write_text(folder.tracked, "")
