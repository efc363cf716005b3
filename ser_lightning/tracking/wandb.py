"""A run in Weights & Biases: opened through Lightning's logger, always finished with the right exit code."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import WandbLogger

from ser_lightning.config.schema import Tracking
from ser_lightning.console import console
from ser_lightning.evaluation.metrics import Scores
from ser_lightning.tracking.server import PRIVATE, unanswered


@dataclass(frozen=True)
class Identity:
    """What W&B shows of a run, and the id that survives resumes and requeues."""

    id: str
    name: str
    group: str
    job_type: str
    tags: Sequence[str]


class Logger(WandbLogger):
    """Lightning's, whose failure costs no training: wandb's own process ends with a job's first signal, for one."""

    lost = False
    """Whether wandb failed, from when on nothing is logged."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.attempt(lambda: super(Logger, self).log_metrics(metrics, step))

    def attempt(self, call: Callable[[], object]) -> None:
        """Do it unless wandb has failed; its first error is said and ends the logging."""
        try:
            if not self.lost:
                call()
        except Exception as error:
            self.lost = True
            console.print(
                f"W&B: {error or type(error).__name__}; nothing more is logged there by this process, the work goes on",
                style="yellow",
                soft_wrap=True,
            )


@contextmanager
def tracked(settings: Tracking, identity: Identity, config: Mapping[str, Any], folder: Path) -> Iterator[Logger | None]:
    """The logger of a run, or None with tracking.mode=off; closed in any case.

    An exception inside marks the run as failed with its `exit_code` (1 where it has none).
    """
    if settings.mode == "off":
        yield None
        return
    # Tables wait for their upload in the data folder: with the run they outlive the home folder of a node.
    with defaults(PRIVATE | {"WANDB_DATA_DIR": str(folder.absolute() / "wandb")}):
        yield from _tracked(settings, identity, config, folder)


def _tracked(settings: Tracking, identity: Identity, config: Mapping[str, Any], folder: Path) -> Iterator[Logger]:
    import wandb

    mode = _reachable(settings.mode)
    run = wandb.init(
        dir=folder,
        project=settings.project,
        entity=settings.entity,
        id=identity.id,
        name=identity.name,
        group=identity.group,
        job_type=identity.job_type,
        tags=list(identity.tags),
        config=dict(config),
        mode=mode,
        resume="allow",
        allow_val_change=True,
    )
    logger = Logger(experiment=run)
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    code = 1
    try:
        yield logger
        code = 0
    except BaseException as error:
        code = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
        raise
    finally:
        logger.attempt(lambda: wandb.finish(exit_code=code))
        if logger.lost:
            with suppress(Exception):  # it says again what is said already
                wandb.teardown()


@contextmanager
def defaults(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables that hold inside the block, where the user has not set them."""
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _reachable(mode: Literal["offline", "online", "off"]) -> Literal["offline", "online"]:
    """Offline, said aloud, when the server does not answer: wandb itself would wait for minutes and then fail."""
    if mode != "online":
        return "offline"
    if reason := unanswered():
        console.print(f"[yellow]W&B: {reason}; logging offline, upload later with `ser sync`")
        return "offline"
    return "online"


def log_scores(logger: Logger | None, part: str, scores: Scores, classes: Sequence[str], picture: Path) -> None:
    """Final scores of a part into the summary, its confusion matrix as a table of counts and a picture."""
    if logger is None:
        return
    import wandb

    rows = [
        [true, predicted, scores.confusion[i][j]]
        for i, true in enumerate(classes)
        for j, predicted in enumerate(classes)
    ]
    shown: dict[str, Any] = {f"{part}/confusion_table": wandb.Table(columns=["true", "predicted", "count"], data=rows)}
    if picture.exists():
        shown[f"{part}/confusion_matrix"] = wandb.Image(str(picture))
    scored = {"uar": scores.uar, "wa": scores.wa, "macro_f1": scores.macro_f1}
    final = {f"final/{part}/{name}": value for name, value in scored.items()}
    logger.attempt(lambda: (logger.experiment.log(shown), logger.experiment.summary.update(final)))
