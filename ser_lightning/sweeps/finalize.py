"""`ser finalize STUDY`: the winner re-trained with several seeds, tested once, and written as an experiment."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from optuna.trial import FrozenTrial

from ser_lightning.config.experiment import experiment_files, write_experiment
from ser_lightning.config.schema import Config
from ser_lightning.config.settings import names_and
from ser_lightning.console import say
from ser_lightning.crossval import crossval
from ser_lightning.crossval.plan import Plan, Task, plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.crossval.track import track
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_json, write_text
from ser_lightning.processes.lock import owned
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.sweeps.claims import RUN
from ser_lightning.sweeps.final import FinalFolder, facts
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.standing import values_of
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.verbs import Finalize
from ser_lightning.sweeps.winner import check_ended, winner
from ser_lightning.training.device import slots_for


def finalize(words: Sequence[str]) -> FinalFolder:
    """Re-train a study's winner and score its test part, once; what is finished already is not redone.

    The folds are the split as it stands, or all its folds with study.crossval. The run by which the winner was chosen
    is none of the trainings: its validation score is the best of many, which flatters (G. Cawley, N. Talbot, JMLR 11,
    2010).

    Raises:
        ConfigError: no study is named, its trials are of another result version, several objectives leave no single
            winner, the experiment's name is taken.
        UserError: trials have not ended, nothing is to be finalized, or the winner cannot be made again.
        IncompleteError: a training failed; the same command again tries only what is missing.
    """
    names, settings = names_and(Finalize, words)
    if len(names) != 1:
        raise ConfigError("ser finalize: name one study, by its name under studies/ or by its folder")
    if settings.seeds < 1:
        raise ConfigError(f"seeds={settings.seeds}: must be at least 1")
    folder = StudyFolder.find(names[0], Path(settings.studies_dir))
    frozen = Frozen.read(folder.frozen)
    frozen.check_version(folder.path)
    study = open_study(folder)
    if not settings.early:
        check_ended(study, folder.name)
    trial = winner(study, frozen, settings.select)
    out = Path(settings.out or Path("conf", "experiment", f"{folder.name}.yaml"))
    config = _config(frozen, trial, out.stem)
    chosen = _plan(config, frozen, settings.seeds)
    _check_same(chosen.base, trial)
    comment = f"Trial {trial.number} of study {folder.name}: {values_of(frozen, trial)}"
    files = experiment_files(out, config, comment)
    write_experiment(out, files, config)
    final = FinalFolder(folder.path / "final" / chosen.id)
    write_text(final.experiment, files[out])
    _train_and_test(chosen, final, settings.jobs)
    write_json(final.final, facts(final, chosen, study, frozen, trial) | {"experiment": str(out)})
    return final


def _config(frozen: Frozen, trial: FrozenTrial, experiment: str) -> Config:
    try:
        config = frozen.config(frozen.searched.values(trial.params), trial.number)
    except (KeyError, ValueError) as error:
        raise _other(trial) from error
    name = f"{frozen.study.name} final"
    tracking = replace(config.tracking, name=name, job_type="final")
    return replace(config, experiment=experiment, tracking=tracking)


def _plan(config: Config, frozen: Frozen, seeds: int) -> Plan:
    base = prepare(config)
    others = replace(base, config=replace(config, seed=config.seed + 1))
    found = plan(others, Settings(seeds=seeds)).tasks if frozen.study.crossval else _of_one_fold(others, seeds)
    return Plan(base, [_named(task) for task in found])


def _of_one_fold(first: Prepared, seeds: int) -> list[Task]:
    config, proof = first.config, first.split()[1]
    each = [replace(first, config=replace(config, seed=config.seed + i)) for i in range(seeds)]
    return [Task(int(config.split.get("fold", 0)), one.config.seed, one, proof) for one in each]


def _named(task: Task) -> Task:
    config = task.prepared.config
    tracking = replace(config.tracking, name=f"{config.tracking.name} fold {task.fold} seed {task.seed}")
    return replace(task, prepared=replace(task.prepared, config=replace(config, tracking=tracking)))


def _check_same(searched: Prepared, trial: FrozenTrial) -> None:
    """The run's id proves that the configuration, the corpus and the program's numbers are those of the trial.

    Of a cross-validation that is the first fold's, as which an unset fold counts.
    """
    if Path(trial.user_attrs[RUN]).name != searched.run_id:
        raise _other(trial)


def _other(trial: FrozenTrial) -> UserError:
    return UserError(
        f"trial {trial.number} cannot be made again: the study's base or space, the corpus or the version of this "
        f"program has changed since; bring that back, or select another trial (its run was {trial.user_attrs[RUN]})"
    )


def _train_and_test(chosen: Plan, final: FinalFolder, jobs: int | None) -> None:
    training = chosen.base.config.training
    slots = slots_for(training, jobs)
    with owned(final.lock), logged_to(final.log):
        if final.complete:
            say(f"{final.path.name} is final already")
        else:
            crossval.carry_out(chosen, final, slots, StopRequest())
        track(chosen.base, final)
