"""`ser train`: from a configuration to a finished run folder."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.console import console, say
from ser_lightning.data.proof import Proof
from ser_lightning.errors import StoppedError
from ser_lightning.evaluation.pictures import curves_png
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import write_json
from ser_lightning.processes.lock import owned
from ser_lightning.processes.meeting import Meeting
from ser_lightning.processes.scheduler import array_delay, own_process, task_of
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.corpus import say_warnings
from ser_lightning.runs.doubts import say_doubts
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.outcome import (
    draw,
    lineage,
    recording_of,
    rows_of,
    wandb_config,
    wandb_identity,
)
from ser_lightning.runs.prepare import Prepared, check_split, make_learner, prepare
from ser_lightning.runs.ranks import fit_in_ranks, join
from ser_lightning.threads import threads
from ser_lightning.tracking.artifacts import log_lineage
from ser_lightning.tracking.tables import log_part
from ser_lightning.tracking.wandb import Logger, log_summary, tracked
from ser_lightning.training.device import find_device
from ser_lightning.training.history import last_epoch, read_history
from ser_lightning.training.learner import Learner
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
    """As many as the run began with, where there are as many: others round otherwise, on some processors."""
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
    except StoppedError as error:
        error.progressed = run.advanced
        raise


def _train(
    prepared: Prepared, run: RunFolder, device: torch.device, stop: StopRequest, meeting: Meeting | None
) -> None:
    config = prepared.config
    parts, proof = prepared.split()
    learner = make_learner(prepared)
    check_split(prepared, proof)
    run.begin(config)
    run.write_split(prepared.corpus.utterances, parts, proof)
    console.print(proof.table())
    say_warnings(prepared.corpus)
    say_doubts(config, {config.split.get("fold", 0): proof}, prepared.splitter.folds(prepared.corpus.utterances))
    data = prepared.data(parts, ("train", "validation"), learner.streams, device)
    ranks = f", {config.training.ranks} ranks" if config.training.ranks > 1 else ""
    say(f"run {run.id}: {learner.described(device)}, on {device}{ranks}, features {data.place}")
    identity = wandb_identity(config, run, proof.labels)
    if ranks:
        # What they leave is a finished fit, which the learner loads below instead of training.
        fit_in_ranks(config, run.path, stop, meeting)
    with tracked(config.tracking, identity, wandb_config(config, run), run.path, array_delay()) as logger:
        facts = learner.fit(data, run.checkpoints, logger, stop)
        start = time.monotonic()
        found = rows_of(prepared, parts, "validation", learner.predict(data, "validation"))
        measured = {"latency": (time.monotonic() - start) / len(found.ids), "memory": peak_memory(device)}
        found.write(run.predictions)
        draw(config, run, found, "validation", proof.labels)
        if config.pictures and (history := read_history(run.metrics)):
            curves_png(run.curves, history, facts["checkpoint"]["epoch"], run.id)
        if logger:
            _tell(logger, prepared, run, learner, found, dict(facts) | measured)
    write_json(run.result, _result(prepared, run, dict(facts) | measured, proof))


def _tell(
    logger: Logger, prepared: Prepared, run: RunFolder, learner: Learner, found: Predictions, facts: dict[str, Any]
) -> None:
    """What W&B has of a training that is done, beside its epochs."""
    tracking = prepared.config.tracking
    rows, picture = read_history(run.metrics), run.confusion("validation")
    log_part(logger, "validation", found, picture, tracking, recording_of(prepared), last_epoch(rows))
    log_summary(logger, rows, facts)
    others = {"last", *learner.others(run.checkpoints)}
    kept = sorted(path for path in run.checkpoints.iterdir() if path.is_file() and path.stem not in others)
    log_lineage(logger, tracking, lineage(prepared, run, learner.streams, kept, facts))


def _result(prepared: Prepared, run: RunFolder, facts: dict[str, Any], proof: Proof) -> dict[str, Any]:
    return {
        "id": run.id,
        "result_version": RESULT_VERSION,
        "experiment": prepared.config.experiment,
        "labels": proof.labels,
        "manifest": prepared.corpus.manifest_digest,
        "classes": list(prepared.corpus.classes),
        "extracted": dict(prepared.extracted),
        "seconds": sum(row["seconds"] or 0.0 for row in read_history(run.metrics)),
        **facts,
        "validation": Predictions.read(run.predictions).scores().as_dict(),
    }
