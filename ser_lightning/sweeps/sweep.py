"""`ser sweep FILE` and `ser worker STUDY`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import optuna
from optuna.study import Study

from ser_lightning.config.settings import names_and, taken
from ser_lightning.console import console
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.join import Join
from ser_lightning.sweeps.samplers import pruner
from ser_lightning.sweeps.storage import open_storage
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep_file import read_sweep
from ser_lightning.sweeps.track import Tracker
from ser_lightning.sweeps.worker import Worker
from ser_lightning.training.stopping import StopRequest


@dataclass(frozen=True)
class Begin(Join):
    """What a sweep takes beside `study.trials`, `study.name`, `study.storage` and overrides of its base."""

    changed: bool = False
    """Go on with a study although its base or space is not what it began with."""


def sweep(words: Sequence[str], conf: str | None = None) -> StudyFolder:
    """Make the study of a sweep file, or resume it, and work on it until all its trials have ended.

    Raises:
        ConfigError: the file, its space or a word is wrong, or the study began with something else.
        UserError: the storage does not answer, or trials fail in a row.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its line a trial would break the table
    settings, rest = taken(Begin, words)
    if not rest or "=" in rest[0]:
        raise ConfigError("ser sweep: name a sweep file, such as sweeps/quick.yaml, before the overrides")
    frozen = read_sweep(rest[0], rest[1:], conf)
    folder = StudyFolder(Path(settings.studies_dir) / frozen.study.name)
    study = open_study(folder, frozen, settings.changed)
    return _work(folder, study, settings)


def worker(words: Sequence[str]) -> StudyFolder:
    """Join a study from any process on any node.

    Raises:
        ConfigError: overrides, which a worker does not take: the study's configuration is frozen.
        UserError: there is no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names, settings = names_and(Join, words)
    if len(names) != 1:
        raise ConfigError("ser worker: name one study, by its name under studies/ or by its folder")
    folder = StudyFolder.find(names[0], Path(settings.studies_dir))
    return _work(folder, open_study(folder), settings)


def _work(folder: StudyFolder, study: Study, settings: Join) -> StudyFolder:
    frozen = Frozen.read(folder.frozen)
    firsts = _first_folds(folder, frozen) if frozen.study.crossval else None
    if firsts and frozen.study.pruner["name"] != "none":
        study.pruner = pruner(replace(frozen.study, pruner={"name": "wilcoxon"}))
    claims = Claims(study, folder, frozen.study)
    console.print(f"study {folder.name}: {frozen.study.trials} trials in all, in {folder.path}", soft_wrap=True)
    with Tracker(study, folder, frozen) as tracker:
        Worker(frozen, claims, firsts, StopRequest(), settings.jobs, tracker).work()
    return folder


def _first_folds(folder: StudyFolder, frozen: Frozen) -> Study:
    """Beside the study, one whose trials are first folds: what its pruner compares."""
    return optuna.create_study(
        storage=open_storage(frozen.study.storage, folder.path),
        study_name=f"{frozen.study.name}/first fold",
        directions=list(frozen.study.objectives.values()),
        pruner=pruner(frozen.study),
        load_if_exists=True,
    )
