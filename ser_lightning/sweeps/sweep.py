"""`ser sweep FILE` and `ser worker STUDY`."""

from collections.abc import Sequence
from pathlib import Path

import optuna
from optuna.study import Study

from ser_lightning.config.settings import names_and, taken
from ser_lightning.console import say
from ser_lightning.errors import ConfigError
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.sweeps.check import check_base
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.pruning import check_folds, fold_pruner
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep_file import read_sweep
from ser_lightning.sweeps.track import Tracker
from ser_lightning.sweeps.verbs import Begin, Join
from ser_lightning.sweeps.worker import Worker


def sweep(words: Sequence[str], conf: str | None = None) -> StudyFolder:
    """Make the study of a sweep file, or resume it, and work on it until all its trials have ended.

    Raises:
        ConfigError: the file, its space or a word is wrong, or the study began with something else.
        UserError: the corpus, split or storage can't be used, or trials fail in a row.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # its line a trial would break the table
    settings, rest = taken(Begin, words)
    if not rest or "=" in rest[0]:
        raise ConfigError("ser sweep: name a sweep file, such as sweeps/quick.yaml, before the overrides")
    frozen = read_sweep(rest[0], rest[1:], conf)
    check_base(frozen)
    if note := check_folds(frozen):
        say(f"study.crossval: {note}")
    folder = StudyFolder(Path(settings.studies_dir) / frozen.study.name)
    study = open_study(folder, frozen, settings.changed)
    return _work(folder, study, settings)


def worker(words: Sequence[str]) -> StudyFolder:
    """Join a study from any process on any node.

    Raises:
        ConfigError: overrides, which a worker does not take: the study's configuration is frozen; its trials are of
            another result version.
        UserError: there is no such study.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    names, settings = names_and(Join, words)
    if len(names) != 1:
        raise ConfigError("ser worker: name one study, by its name under studies/ or by its folder")
    folder = StudyFolder.find(names[0], Path(settings.studies_dir))
    Frozen.read(folder.frozen).check_version(folder.path)
    return _work(folder, open_study(folder), settings)


def _work(folder: StudyFolder, study: Study, settings: Join) -> StudyFolder:
    frozen = Frozen.read(folder.frozen)
    if frozen.study.crossval:
        study.pruner = fold_pruner(frozen.study)
    claims = Claims(study, folder, frozen.study)
    say(f"study {folder.name}: {frozen.study.trials} trials in all, in {folder.path}")
    with Tracker(study, folder, frozen) as tracker:
        Worker(frozen, claims, StopRequest(), settings.jobs, tracker).work()
    return folder
