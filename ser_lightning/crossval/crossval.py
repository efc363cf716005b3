"""`ser crossval`: every fold and seed of an experiment as runs of their own, and one pooled result."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.console import say
from ser_lightning.corpora.report import say_warnings
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.plan import Plan, Task, plan
from ser_lightning.crossval.pool import IncompleteError, pool
from ser_lightning.crossval.progress import Progress
from ser_lightning.crossval.settings import Settings
from ser_lightning.crossval.track import track
from ser_lightning.errors import ConfigError, StoppedError
from ser_lightning.processes.lock import owned
from ser_lightning.processes.slots import Job, Slots
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.runs.doubts import say_doubts
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.prepare import make_learner, prepare
from ser_lightning.runs.train import train
from ser_lightning.training.device import slots_for

__all__ = ["IncompleteError", "crossval"]


def crossval(config: Config, settings: Settings | None = None, stop: StopRequest | None = None) -> CrossvalFolder:
    """Train and test every fold with every seed, and pool their test rows; what is finished already is not redone.

    Raises:
        IncompleteError: runs failed; each is reported with its reason, and its log's end stands in folds.csv.
        UserError: the corpus, the split, the device or a setting can't be used, another process has this
            cross-validation, or it was asked to stop.
    """
    settings = settings or Settings()
    slots = [] if settings.gather else slots_for(config.training, settings.jobs)
    chosen = plan(prepare(config), settings)
    folder = CrossvalFolder(Path(settings.crossval_dir) / chosen.id)
    if settings.only is not None:
        return _one_fold(chosen, settings.only, folder, slots, stop or StopRequest())
    with owned(folder.lock), logged_to(folder.log):
        if folder.complete:
            say(f"cross-validation {folder.id} is finished already")
        else:
            carry_out(chosen, folder, slots, stop or StopRequest())
        track(chosen.base, folder)
    return folder


def carry_out(chosen: Plan, folder: CrossvalFolder, slots: list[dict[str, str]], stop: StopRequest) -> None:
    """Run what is not finished, unless there are no slots, and pool.

    Raises:
        IncompleteError, StoppedError: as `crossval`.
    """
    progress = _run(chosen, chosen.tasks, folder, slots, stop)
    pool(chosen, folder, progress.folds, progress.runs)
    if not folder.complete:
        how, again = ("failed", "again") if slots else ("are not finished", "without gather=true")
        raise IncompleteError(
            f"{progress.failed} of {len(chosen.tasks)} runs {how}: {folder.result} is marked incomplete; the same "
            f"command {again} tries only those"
        )


def _one_fold(
    chosen: Plan, fold: int, folder: CrossvalFolder, slots: list[dict[str, str]], stop: StopRequest
) -> CrossvalFolder:
    """In a folder of its own, because other folds are run at the same time elsewhere."""
    tasks = [task for task in chosen.tasks if task.fold == fold]
    if not tasks:
        numbers = [task.fold for task in chosen.tasks]
        raise ConfigError(f"only={fold}: the folds are {min(numbers)} to {max(numbers)}")
    own = CrossvalFolder(folder.path / f"fold_{fold}")
    with owned(own.lock), logged_to(own.log):
        progress = _run(chosen, tasks, own, slots, stop, group=folder.id)
    if progress.failed:
        raise IncompleteError(f"{progress.failed} of {len(tasks)} runs of fold {fold} failed; see {own.folds}")
    return own


def _run(
    chosen: Plan,
    tasks: Sequence[Task],
    folder: CrossvalFolder,
    slots: list[dict[str, str]],
    stop: StopRequest,
    group: str | None = None,
) -> Progress:
    """Run those of `tasks` that are not finished."""
    folder.begin(chosen.base.config)
    say_warnings(chosen.base.corpus)
    progress = Progress(folder, tasks)
    say(f"cross-validation {group or folder.id}: {progress.said}")
    proofs = {task.fold: task.proof for task in tasks}
    say_doubts(chosen.base.config, proofs, chosen.base.splitter.folds(chosen.base.corpus.utterances))
    waiting = progress.waiting if slots else []
    if waiting:
        # Before the children, each of which would compute the same features.
        streams = make_learner(waiting[0].prepared).streams
        chosen.base.fill(streams, chosen.base.corpus.utterances)
    jobs = [_job(task, progress.runs[task.run], group or folder.id) for task in waiting]
    with progress, on_signals(stop):
        if jobs:
            Slots(slots, stop, progress).work(iter(jobs))
    if stop.reason:
        error = StoppedError(stop.reason, stop.exit_code)
        error.progressed = progress.advanced
        raise error
    progress.report_failures()
    return progress


def _job(task: Task, run: RunFolder, group: str) -> Job:
    config = task.prepared.config
    kind = config.tracking.job_type
    job_type = "fold" if kind == "train" else kind  # `ser finalize` says final
    tracking = replace(config.tracking, group=config.tracking.group or group, job_type=job_type)
    tree = asdict(replace(config, tracking=tracking))
    return Job(task.run, _train_and_test, (tree, str(run.config)), run.process_log)


def _train_and_test(tree: dict[str, Any], source: str) -> None:
    config = bind(tree, source)
    evaluate(train(config), config)
