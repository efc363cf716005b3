"""What W&B is told of trials that ended and of their study, each in a process of its own."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ser_lightning.config.schema import Config, Tracking
from ser_lightning.data.proof import Proof
from ser_lightning.files import write_text
from ser_lightning.processes.lock import TakenError, owned
from ser_lightning.runs.folder import RunFolder
from ser_lightning.tracking.wandb import Logger, RunIdentity, shown, tracked


@dataclass(frozen=True)
class Ended:
    """A trial that has ended; `name` is its runs' display name, `scores` are by objective."""

    number: int
    name: str
    state: str
    values: Mapping[str, Any]
    scores: Mapping[str, float]
    reason: str
    runs: Sequence[Path]


@dataclass(frozen=True)
class Told:
    """A study whose trials have ended."""

    folder: Path
    id: str
    settings: Tracking
    config: Mapping[str, Any]
    objectives: Sequence[str]
    names: Sequence[str]
    """Of the parameters."""
    trials: Sequence[Ended]
    summary: Mapping[str, Any]
    marker: Path
    """A file that gets `text` when this is done."""
    text: str


def objective_key(objective: str) -> str:
    """Where a trial's runs have the value of an objective in their summary; a dot would be taken for nesting."""
    return f"objective/{objective.replace('.', '/')}"


class _FailedError(Exception):
    """Marks a W&B run as failed."""


def tell_trial(ended: Ended) -> None:
    """Add a trial's values, state and reason to the W&B runs of its trainings."""
    for path in ended.runs:
        _tell_run(RunFolder(path), ended)


def tell_study(told: Told) -> None:
    """Make up for trials that a killed worker did not tell of, and write the study's run; one worker does it."""
    with suppress(TakenError), owned(told.folder / ".tracking.lock"):
        if told.marker.exists() and told.marker.read_text(encoding="utf-8") == told.text:
            return
        for ended in told.trials:
            tell_trial(ended)
        _mark(_tell_table(told), told.marker, told.text)


def _tell_run(run: RunFolder, ended: Ended) -> None:
    """Nothing where no training was begun, where another trial had the run, or where it is told already."""
    marker = run.path / "tracked"
    if not run.attempt.exists() or (marker.exists() and marker.read_text(encoding="utf-8") == f"{ended.name}\n"):
        return
    with suppress(TakenError), owned(run.lock):  # who has it is another trial of the same values, and goes on with it
        config = run.read_config()
        if config.tracking.name != ended.name:
            return
        trial = {"number": ended.number, "values": dict(ended.values)}
        found = {"state": ended.state, "reason": ended.reason, "objectives": dict(ended.scores)}
        proof = run.read_proof()
        whole = shown(config, environment=run.read_environment(), split_proof=proof) | {"trial": trial}
        with (
            suppress(_FailedError),
            tracked(config.tracking, _identity(config, run, proof, ended), whole, run.path) as logger,
        ):
            if logger:
                each = {objective_key(key): score for key, score in ended.scores.items()}
                _summarise(logger, {f"trial/{key}": value for key, value in found.items()} | each)
            if ended.state == "FAIL":
                raise _FailedError
        _mark(logger, marker, f"{ended.name}\n")


def _summarise(logger: Logger, found: Mapping[str, Any]) -> None:
    logger.attempt(lambda: logger.experiment.summary.update(dict(found)))


def _mark(logger: Logger | None, marker: Path, text: str) -> None:
    """What W&B has lost is told again by the next worker."""
    if logger and not logger.lost:
        write_text(marker, text)


def _identity(config: Config, run: RunFolder, proof: Mapping[str, Any], ended: Ended) -> RunIdentity:
    """That of the training itself, under the trial's name, so that all of it is one W&B run."""
    labels = Proof(**proof).labels if proof else []
    return replace(RunIdentity.of(config, run.attempt_id, labels), name=ended.name)


def _tell_table(told: Told) -> Logger | None:
    group = told.folder.name
    identity = RunIdentity(told.id, group, group, "summary", ["study", *told.settings.tags])
    with tracked(told.settings, identity, told.config, told.folder) as logger:
        if logger:
            logger.attempt(lambda: _log_table(logger, told))
            _summarise(logger, told.summary)
    return logger


def _log_table(logger: Logger, told: Told) -> None:
    import wandb

    columns: list[str | int] = ["number", "state", *told.objectives, *told.names, "reason", "run"]
    rows = [
        [
            one.number,
            one.state,
            *map(one.scores.get, told.objectives),
            *map(one.values.get, told.names),
            one.reason,
            one.runs[0].name if one.runs else "",
        ]
        for one in told.trials
    ]
    logger.experiment.log({"trials": wandb.Table(columns=columns, data=rows, allow_mixed_types=True)})
