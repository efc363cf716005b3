"""`ser crossval`: every fold and seed of an experiment as runs of their own, and one pooled result."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ser_lightning.errors import StoppedError
from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.plan import Plan, Task, plan
from ser_lightning.crossval.pool import IncompleteError, pool
from ser_lightning.crossval.progress import Progress
from ser_lightning.crossval.settings import Settings
from ser_lightning.crossval.track import track
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import owned
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.outcome import find_device
from ser_lightning.runs.prepare import prepare
from ser_lightning.runs.slots import Job, Slots, environments
from ser_lightning.runs.train import make_learner, train
from ser_lightning.training.stopping import StopRequest, on_signals

__all__ = ["IncompleteError", "crossval"]


def crossval(config: Config, settings: Settings | None = None, stop: StopRequest | None = None) -> CrossvalFolder:
    """Train and test every fold with every seed, and pool their test rows; what is finished already is not redone.

    Raises:
        IncompleteError: runs failed; each is reported with its reason, and its log's end stands in folds.csv.
        UserError: the corpus, the split, the device or a setting can't be used, another process has this
            cross-validation, or it was asked to stop.
    """
    settings = settings or Settings()
    device = find_device(config.training)
    slots = environments(device, settings.jobs, config.training.devices)
    chosen = plan(prepare(config), settings)
    folder = CrossvalFolder(Path(settings.crossval_dir) / chosen.id)
    with owned(folder.lock), logged_to(folder.log):
        if folder.complete:
            console.print(f"cross-validation {folder.id} is finished already", soft_wrap=True)
        else:
            carry_out(chosen, folder, slots, stop or StopRequest())
        track(chosen.base, folder)
    return folder


def carry_out(chosen: Plan, folder: CrossvalFolder, slots: list[dict[str, str]], stop: StopRequest) -> None:
    folder.begin(chosen.base.config)
    progress = Progress(folder, chosen.tasks)
    console.print(f"cross-validation {folder.id}: {progress.said}", soft_wrap=True)
    if progress.waiting:
        # Before the children, each of which would compute the same features.
        streams = make_learner(progress.waiting[0].prepared).streams
        chosen.base.fill(streams, chosen.base.corpus.utterances)
    jobs = [_job(task, progress.runs[task.run], folder.id) for task in progress.waiting]
    with progress, on_signals(stop):
        Slots(slots, stop, progress).work(iter(jobs))
    if stop.reason:
        raise StoppedError(stop.reason, stop.exit_code)
    progress.report_failures()
    pool(chosen, folder, progress.folds, progress.runs)
    if not folder.complete:
        raise IncompleteError(
            f"{progress.failed} of {len(chosen.tasks)} runs failed: {folder.result} is marked incomplete; the same "
            "command again tries only those"
        )


def _job(task: Task, run: RunFolder, group: str) -> Job:
    config = task.prepared.config
    tracking = replace(config.tracking, group=config.tracking.group or group, job_type="fold")
    tree = asdict(replace(config, tracking=tracking))
    return Job(task.run, _train_and_test, (tree, str(run.config)), run.process_log)


def _train_and_test(tree: dict[str, Any], source: str) -> None:
    config = bind(tree, source)
    evaluate(train(config), config)
