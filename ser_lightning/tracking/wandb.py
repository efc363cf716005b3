"""A run in Weights & Biases: opened through Lightning's logger, always finished with the right exit code."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from lightning.pytorch.loggers import WandbLogger

from ser_lightning.config.schema import Config, Tracking
from ser_lightning.tracking.environment import own_tracking
from ser_lightning.tracking.opening import closed, finish, line, opened, say
from ser_lightning.tracking.private import ENVIRONMENT, SILENT
from ser_lightning.tracking.server import PRIVATE

SUMMARIES: Mapping[str, tuple[str, Callable[[Iterable[float]], float]]] = {
    "train/loss": ("min", min),
    "validation/loss": ("min", min),
    "validation/uar": ("max", max),
    "validation/wa": ("max", max),
}
"""Curves of which the summary has the best value beside the last one; of the others it has the last."""
LIMITS = ("init_timeout", "finish_timeout")
"""Told to each run, because wandb reads the environment once a process: a notebook may have used it before."""
LONGEST_TAG = 64
"""Characters; wandb would refuse the whole run."""


@dataclass(frozen=True)
class RunIdentity:
    """What W&B shows of a run, and the id that survives resumes and requeues."""

    id: str
    name: str
    group: str
    job_type: str
    tags: Sequence[str]

    @classmethod
    def of(cls, config: Config, attempt_id: str, labels: Sequence[str]) -> Self:
        """That of a run: the same for every start of it, a new one only after it was removed.

        Args:
            labels: what its figures have to be read with.
        """
        return cls(
            id=attempt_id,
            name=config.tracking.name or f"{config.model['name']} {config.corpus['name']} seed {config.seed}",
            group=config.tracking.group or config.experiment or "default",
            job_type=config.tracking.job_type,
            tags=tags(config, labels),
        )


def tags(config: Config, labels: Sequence[str]) -> list[str]:
    """What runs are filtered by: corpus, model, protocol, what the figures have to be read with, and the user's own."""
    named = [section["name"] for section in (config.corpus, config.model, config.split)]
    return [*named, *labels, *config.tracking.tags]


def shown(config: Config, **records: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration as W&B shows it: nested, with a run's `environment` and the `split_proof`, where there are any.

    Of the environment `tracking.private` leaves out what tells of the machine.
    """
    found = {name: dict(record) for name, record in records.items() if record}
    if config.tracking.private and "environment" in found:
        found["environment"] = {key: value for key, value in found["environment"].items() if key not in ENVIRONMENT}
    return asdict(config) | found


class Logger(WandbLogger):
    """Lightning's, whose failure costs no training: wandb's own process ends with a job's first signal, for one."""

    def __init__(self, run: Any) -> None:
        super().__init__(experiment=run)
        self.failures = list[str]()
        """What went wrong, each said once."""

    @property
    def lost(self) -> bool:
        """Whether something was not logged."""
        return bool(self.failures)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.attempt(lambda: super(Logger, self).log_metrics(metrics, step))

    def attempt(self, call: Callable[[], object]) -> bool:
        """Whether it could be done; what fails costs itself alone. Where wandb has died all fails, at once."""
        try:
            call()
        except Exception as error:
            if (found := line(error)) not in self.failures:
                self.failures.append(found)
                say(f"{found}; what it was about is not logged there by this process, the work goes on")
            return False
        return True


@contextmanager
def tracked(
    settings: Tracking, identity: RunIdentity, config: Mapping[str, Any], folder: Path, delay: float = 0.0
) -> Iterator[Logger | None]:
    """The logger of a run, or None with tracking.mode=off or where wandb can't write; closed in any case.

    An exception inside marks the run as failed with its `exit_code` (1 where it has none).

    Args:
        delay: seconds that others which start at the same time have with the server before this.
    """
    if settings.mode == "off":
        yield None
        return
    # Tables wait for their upload in the data folder: with the run they outlive the home folder of a node.
    with own_tracking(), defaults(PRIVATE | {"WANDB_DATA_DIR": str(folder.absolute() / "wandb")}):
        yield from _tracked(settings, identity, config, folder, delay)


def _tracked(
    settings: Tracking, identity: RunIdentity, config: Mapping[str, Any], folder: Path, delay: float
) -> Iterator[Logger | None]:
    import wandb

    init = partial(
        wandb.init,
        dir=folder,
        project=settings.project,
        entity=settings.entity,
        id=identity.id,
        name=identity.name,
        group=identity.group,
        job_type=identity.job_type,
        tags=[tag[:LONGEST_TAG] for tag in identity.tags],
        config=dict(config),
        resume="allow",
        reinit="create_new",  # else one that a notebook has open would be handed over, and finished
        allow_val_change=True,
        settings={name: os.environ[f"WANDB_{name.upper()}"] for name in LIMITS} | (SILENT if settings.private else {}),
    )
    if (run := opened(init, settings.mode, folder, identity.id, delay)) is None:
        yield None
        return
    logger = Logger(run)
    logger.attempt(lambda: define_metrics(run))
    code = 1
    try:
        yield logger
        code = 0
    except BaseException as error:
        code = getattr(error, "exit_code", 130 if isinstance(error, KeyboardInterrupt) else 1)
        raise
    finally:
        if logger.attempt(lambda: finish(run, code)):
            closed(run)
        else:
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


def define_metrics(run: Any) -> None:
    """Curves against epochs; a curve's best value need not be of the epoch that was kept, see `best_epoch`."""
    run.define_metric("epoch")
    run.define_metric("*", step_metric="epoch")
    for name, (best, _) in SUMMARIES.items():
        run.define_metric(name, step_metric="epoch", summary=f"{best},last")


def log_summary(logger: Logger, rows: Sequence[Mapping[str, float | None]], facts: Mapping[str, Any]) -> None:
    """What is known when a training is done: best and last of the curves, and `facts`.

    Args:
        rows: of metrics.csv. wandb itself knows the best only since the process was last started.
        facts: of the learner; `best_epoch` is that of its checkpoint.
    """
    told: dict[str, Any] = {"fit": dict(facts)}
    if checkpoint := facts.get("checkpoint"):
        told["best_epoch"] = checkpoint["epoch"]
    for name, (best, find) in SUMMARIES.items():
        if values := [value for row in rows if (value := row.get(name)) is not None]:
            told[name] = {best: find(values), "last": values[-1]}
    logger.attempt(lambda: logger.experiment.summary.update(told))
