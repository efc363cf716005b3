"""`ser finalize STUDY`: the winner re-trained with several seeds, tested once, and written as an experiment."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from ser_lightning.config.schema import Config
from ser_lightning.config.settings import names_and
from ser_lightning.console import console
from ser_lightning.crossval import crossval
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.plan import Plan, Task, plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.crossval.track import track
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, summarise
from ser_lightning.files import read_csv, write_json, write_text
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import owned
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.outcome import find_device
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.slots import environments
from ser_lightning.runs.vault import configuration_of, configurations, looks_at, recordings_of
from ser_lightning.sweeps.claims import RUN
from ser_lightning.sweeps.experiment import experiment_files, write_experiment
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import values_of
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.winner import check_ended, tried, winner
from ser_lightning.training.stopping import StopRequest


@dataclass(frozen=True)
class Finalize:
    """What `ser finalize` takes beside the study."""

    seeds: int = 5
    """Trainings of the winner (a fold): with the study's seed, seed + 1, and so on."""
    jobs: int | None = None
    """Runs at a time; null: one a GPU where there are GPUs, else one."""
    select: str = "best"
    """best, or the number of a trial, which a study of several objectives needs."""
    early: bool = False
    """Finalize a study whose trials have not all ended."""
    out: str | None = None
    """File of the experiment; null: conf/experiment/STUDY.yaml."""
    studies_dir: str = "studies"
    """Folder of the studies."""


class FinalFolder(CrossvalFolder):
    """`studies/STUDY/final/<id>`: the trainings as a cross-validation keeps them, and what the study says of them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.final, self.experiment = path / "final.json", path / "experiment.yaml"

    def read(self) -> dict[str, Any]:
        """final.json."""
        return json.loads(self.final.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def finalize(words: Sequence[str]) -> FinalFolder:
    """Re-train a study's winner and score its test part, once; what is finished already is not redone.

    The folds are those by which trials were scored: the split as it stands, or all its folds with study.crossval.

    Raises:
        ConfigError: no study is named, several objectives leave no single winner, the experiment's name is taken.
        UserError: trials have not ended, nothing is to be finalized, or the winner cannot be made again.
        IncompleteError: a training failed; the same command again tries only what is missing.
    """
    names, settings = names_and(Finalize, words)
    if len(names) != 1:
        raise ConfigError("ser finalize: name one study, by its name under studies/ or by its folder")
    if settings.seeds < 1:
        raise ConfigError(f"seeds={settings.seeds}: must be at least 1")
    folder = StudyFolder.find(names[0], Path(settings.studies_dir))
    study, frozen = open_study(folder), Frozen.read(folder.frozen)
    if not settings.early:
        check_ended(study, folder.name)
    trial = winner(study, frozen, settings.select)
    out = Path(settings.out or Path("conf", "experiment", f"{folder.name}.yaml"))
    config = _config(frozen, trial, out.stem)
    chosen = _plan(config, frozen, settings.seeds)
    _check_same(chosen, trial)
    comment = f"Trial {trial.number} of study {folder.name}: {values_of(frozen, trial)}"
    files = experiment_files(out, config, comment)
    write_experiment(out, files, config)
    final = FinalFolder(folder.path / "final" / chosen.id)
    write_text(final.experiment, files[out])
    _train_and_test(chosen, final, settings.jobs)
    write_json(final.final, _facts(final, chosen, study, frozen, trial) | {"experiment": str(out)})
    return final


def _config(frozen: Frozen, trial: FrozenTrial, experiment: str) -> Config:
    try:
        config = frozen.config(frozen.searched.values(trial.params), trial.number)
    except (KeyError, ValueError) as error:
        raise _other(trial) from error
    name = f"{frozen.study.name} final"
    return replace(config, experiment=experiment, tracking=replace(config.tracking, name=name))


def _plan(config: Config, frozen: Frozen, seeds: int) -> Plan:
    base = prepare(config)
    if frozen.study.crossval:
        found = plan(base, Settings(seeds=seeds))
    else:
        proof, fold = base.split()[1], int(config.split.get("fold", 0))
        each = [(seed, replace(config, seed=seed)) for seed in range(config.seed, config.seed + seeds)]
        found = Plan(base, [Task(fold, seed, replace(base, config=one), proof) for seed, one in each])
    return Plan(base, [_displayed(task) for task in found.tasks])


def _displayed(task: Task) -> Task:
    """A run that a trial left keeps the name under which W&B shows it; a new one gets its seed in its name."""
    run, config = RunFolder(Path(task.prepared.run_path)), task.prepared.config
    own = f"{config.tracking.name} fold {task.fold} seed {task.seed}"
    name = run.read_config().tracking.name if run.config.exists() else own
    tracking = replace(config.tracking, name=name)
    return replace(task, prepared=replace(task.prepared, config=replace(config, tracking=tracking)))


def _check_same(chosen: Plan, trial: FrozenTrial) -> None:
    """The run's id proves that the configuration, the corpus and the program's numbers are those of the trial."""
    if Path(trial.user_attrs[RUN]).name != chosen.tasks[0].run:
        raise _other(trial)


def _other(trial: FrozenTrial) -> UserError:
    return UserError(
        f"trial {trial.number} cannot be made again: the study's base or space, the corpus or the version of this "
        f"program has changed since; bring that back, or select another trial (its run was {trial.user_attrs[RUN]})"
    )


def _train_and_test(chosen: Plan, final: FinalFolder, jobs: int | None) -> None:
    training = chosen.base.config.training
    slots = environments(find_device(training), jobs, training.devices)
    with owned(final.lock), logged_to(final.log):
        if final.complete:
            console.print(f"{final.path.name} is final already", soft_wrap=True)
        else:
            crossval.carry_out(chosen, final, slots, StopRequest())
        track(chosen.base, final)


def _facts(final: FinalFolder, chosen: Plan, study: Study, frozen: Frozen, trial: FrozenTrial) -> dict[str, Any]:
    runs = [(task, RunFolder(task.prepared.run_path)) for task in chosen.tasks]
    validation = Pooled.of((t.fold, t.seed, Predictions.read(r.predictions).part("validation")) for t, r in runs)
    return {
        "study": frozen.study.name,
        "trial": trial.number,
        "objectives": dict(zip(frozen.study.objectives, trial.values, strict=True)),
        "values": frozen.searched.values(trial.params),
        "tried": tried(study),
        "looked_before": _looked_before(final, chosen),
        "test_seen_in_search": _seen([run for _, run in runs]),
        "figures": {"validation": summarise(validation), "test": final.read_result()["figures"][CHOSEN]},
    }


def _looked_before(final: FinalFolder, chosen: Plan) -> int:
    """Other configurations that had looked at these recordings; what looks later does not change it."""
    if final.final.exists():
        return int(final.read()["looked_before"])
    run = chosen.tasks[0].prepared
    recordings = set[str]().union(*(recordings_of(RunFolder(task.prepared.run_path)) for task in chosen.tasks))
    looks = looks_at(run.run_path.parent, recordings)
    return configurations(look for look in looks if look.configuration != configuration_of(run.config))


def _seen(runs: Sequence[RunFolder]) -> float:
    """The share of the tested recordings that also validated in some fold, and so had a say in the search."""
    parts: dict[str, set[str]] = {"validation": set(), "test": set()}
    for row in (row for run in runs for row in read_csv(run.split) if row["part"] in parts):
        parts[row["part"]].add(row["digest"])
    return len(parts["validation"] & parts["test"]) / len(parts["test"])
