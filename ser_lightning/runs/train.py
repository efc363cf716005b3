"""`ser train`: from a configuration to a finished run folder."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.console import console, say
from ser_lightning.corpora.report import say_warnings
from ser_lightning.data.proof import Proof
from ser_lightning.errors import StoppedError
from ser_lightning.evaluation.pictures import curves_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import write_json
from ser_lightning.processes.lock import owned
from ser_lightning.processes.meeting import Meeting
from ser_lightning.processes.scheduler import array_delay, own_process, task_of
from ser_lightning.processes.signals import StopSignal
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.doubts import say_doubts
from ser_lightning.runs.fitting import Fitting
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.runs.ranks import fit_in_ranks, join
from ser_lightning.runs.score import draw, predict, tell
from ser_lightning.threads import threads
from ser_lightning.tracking.artifacts import Lineage, log_lineage
from ser_lightning.tracking.wandb import Logger, RunIdentity, log_summary, shown, tracked
from ser_lightning.training.device import find_device
from ser_lightning.training.history import last_epoch
from ser_lightning.training.learner import Fit
from ser_lightning.training.memory import peak_memory


def train(config: Config, stop: StopRequest | None = None) -> RunFolder:
    """Train one model and score its validation part; a finished run is returned as it stands.

    Raises:
        UserError: the corpus, the split or the device can't be used, the loss is not finite, another process has
            the run, or it was asked to stop.
    """
    own_process()
    device = find_device(config.training)
    here = task_of(config.training)
    stop, meeting = stop or StopRequest(), Meeting(config.runs_dir, here) if here else None
    if meeting and meeting.here.rank:
        return join(config, meeting, stop)
    with meeting.held() if meeting else nullcontext():
        run = _finished(config, device, stop, meeting)
        if meeting:
            meeting.over(run.path)
    return run


def _finished(config: Config, device: torch.device, stop: StopRequest, meeting: Meeting | None) -> RunFolder:
    prepared = prepare(config)
    run = RunFolder(prepared.run_path)
    if run.finished:
        say(f"run {run.id} is finished already")
        return run
    with owned(run.lock), logged_to(run.log), _progress_told(run), threads(_threads_of(run)):
        if not run.finished:  # by another process, since it was asked above
            _train(prepared, run, device, stop, meeting)
    return run


def _threads_of(run: RunFolder) -> int:
    """As many as the run began with, where there are as many: with another number, some processors round otherwise."""
    here, begun = torch.get_num_threads(), run.threads
    if begun is not None and begun > here:
        say(
            f"run {run.id} began with {begun} threads and goes on with {here}: its weights may differ from those of an "
            "uninterrupted run by rounding"
        )
    return min(here, begun or here)


@contextmanager
def _progress_told(run: RunFolder) -> Iterator[None]:
    """A stop inside says whether an epoch was finished since the run was begun this time."""
    try:
        yield
    except (StoppedError, StopSignal) as stopped:
        stopped.progressed = run.advanced
        raise


def _train(
    prepared: Prepared, run: RunFolder, device: torch.device, stop: StopRequest, meeting: Meeting | None
) -> None:
    config, fitting = prepared.config, Fitting(prepared)
    environment = run.begin(config)
    run.write_split(prepared.corpus.utterances, fitting.parts, fitting.proof)
    _say_split(fitting)
    fitting.load(device)
    ranks = f", {config.training.ranks} ranks" if config.training.ranks > 1 else ""
    say(f"run {run.id}: {fitting.learner.described(device)}, on {device}{ranks}, features {fitting.data.place}")
    identity = RunIdentity.of(config, run.attempt_id, fitting.proof.labels)
    whole = shown(config, environment=environment, split_proof=fitting.proof.as_dict())
    with tracked(config.tracking, identity, whole, run.path, array_delay()) as logger:
        if ranks:
            # What the ranks leave is a finished fit, which the learner loads below instead of training.
            fit_in_ranks(config, run, stop, meeting, logger)
        # Goes on where the checkpoints of an earlier start end.
        fit = fitting.learner.fit(fitting.data, run.checkpoints, None if ranks else logger, stop)
        found, measured = _validate(fitting, run, device)
        facts = {**fit.facts, **measured}
        if config.pictures and fit.history:
            curves_png(run.curves, fit.history, fit.facts["checkpoint"]["epoch"], run.id)
        if logger:
            _tell(logger, fitting, run, found, fit, facts)
    write_json(run.result, _result(prepared, run, fit, facts, fitting.proof, found))


def _say_split(fitting: Fitting) -> None:
    """How the corpus was split, and what is doubtful about either."""
    config, corpus, proof = fitting.prepared.config, fitting.prepared.corpus, fitting.proof
    console.print(proof.table())
    say_warnings(corpus)
    say_doubts(config, {config.split.get("fold", 0): proof}, fitting.prepared.splitter.folds(corpus.utterances))


def _validate(fitting: Fitting, run: RunFolder, device: torch.device) -> tuple[Predictions, dict[str, float]]:
    """Predict the validation part once; also seconds an utterance that this took, and MiB that the process held."""
    start = time.monotonic()
    found = predict(fitting.prepared, fitting.learner, fitting.data, fitting.parts, "validation")
    measured = {"latency": (time.monotonic() - start) / len(found.ids), "memory": peak_memory(device)}
    found.write(run.predictions)
    draw(fitting.prepared, run, found, "validation", fitting.proof.labels)
    return found, measured


def _tell(
    logger: Logger, fitting: Fitting, run: RunFolder, found: Predictions, fit: Fit, facts: Mapping[str, Any]
) -> None:
    """What W&B has of a training that is done, beside its epochs."""
    prepared, learner = fitting.prepared, fitting.learner
    tell(logger, prepared, run, found, "validation", last_epoch(fit.history))
    log_summary(logger, fit.history, facts)
    others = {"last", *learner.others(run.checkpoints)}
    kept = sorted(path for path in run.checkpoints.iterdir() if path.is_file() and path.stem not in others)
    used = {name: prepared.extractors[name] for name in learner.streams}
    name = prepared.config.corpus["name"]
    made = Lineage.of(prepared.corpus, name, used, run.attempt_id, kept, facts)
    log_lineage(logger, prepared.config.tracking, made)


def _result(
    prepared: Prepared, run: RunFolder, fit: Fit, facts: Mapping[str, Any], proof: Proof, found: Predictions
) -> dict[str, Any]:
    return {
        "id": run.id,
        "result_version": RESULT_VERSION,
        "experiment": prepared.config.experiment,
        "labels": proof.labels,
        "manifest": prepared.corpus.manifest_digest,
        "classes": list(prepared.corpus.classes),
        "extracted": dict(prepared.extracted),
        "seconds": sum(row["seconds"] or 0.0 for row in fit.history),
        **facts,
        "validation": found.scores().as_dict(),
    }
