"""The one W&B run that sums a cross-validation up, in the group of its folds."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from ser_lightning.crossval.folder import CrossvalFolder, Fold
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.summary import CHOSEN
from ser_lightning.files import read_csv, write_text
from ser_lightning.runs.prepare import Prepared
from ser_lightning.tracking.tables import log_scores
from ser_lightning.tracking.wandb import Logger, RunIdentity, tags, tracked

ENDS = ("low", "high")


def track(base: Prepared, folder: CrossvalFolder) -> None:
    """Log the pooled figures and confusion matrix, once: after a kill the next start makes up for it."""
    config, result = base.config, folder.read_result()
    if folder.tracked.exists() or config.tracking.mode == "off":
        return
    identity = RunIdentity(
        id=folder.attempt_id,
        name=config.tracking.name or f"{config.model['name']} {config.corpus['name']} {config.split['name']}",
        group=config.tracking.group or folder.id,
        job_type="summary",
        tags=tags(config, result["labels"]),
    )
    with tracked(config.tracking, identity, asdict(config), folder.path) as logger:
        if logger:
            log_scores(logger, "test", Pooled.read(folder.predictions).rows, folder.confusion)
            logger.attempt(lambda: _log_figures(logger, result["figures"]))
            logger.attempt(lambda: _log_folds(logger, folder))
    if logger and not logger.lost:
        write_text(folder.tracked, "")


def _log_figures(logger: Logger, figures: Mapping[str, Any]) -> None:
    """All of them, and apart, as a chart needs them, the ends of the 95 % intervals; none with under three speakers."""
    intervals = {f"final/test/{name}": ends for name, ends in figures[CHOSEN]["interval"].items() if ends}
    ends = {f"{name}_{end}": value for name, found in intervals.items() for end, value in zip(ENDS, found, strict=True)}
    logger.experiment.summary.update({"figures": dict(figures)} | ends)


def _log_folds(logger: Logger, folder: CrossvalFolder) -> None:
    """A row a fold and seed: what folds.csv says of its run, and the test scores of those that have finished."""
    import wandb

    pooled = Pooled.read(folder.predictions)
    scores = {place: pooled.at(*place).scores() for place in pooled.places}
    rows = [
        [*row.values(), *([found.n, found.uar, found.wa] if (found := scores.get(place)) else [None] * 3)]
        for row in read_csv(folder.folds)
        if (place := (int(row["fold"]), int(row["seed"])))
    ]
    columns = [field.name for field in fields(Fold)]
    table = wandb.Table(columns=[*columns, "utterances", "uar", "wa"], data=rows)
    logger.experiment.log({"folds": table})
