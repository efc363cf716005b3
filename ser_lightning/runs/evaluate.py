"""`ser evaluate RUN`: score the test part of a finished run, and record that it was looked at."""

from collections.abc import Mapping
from typing import Any

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import Assignment
from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import write_json
from ser_lightning.processes.lock import owned
from ser_lightning.processes.scheduler import own_process
from ser_lightning.runs.beside import forget_epochs, score_beside
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.prepare import Prepared, make_learner, prepare
from ser_lightning.runs.score import draw, predict, tell
from ser_lightning.runs.vault import configuration_of, record
from ser_lightning.tracking.wandb import RunIdentity, shown, tracked
from ser_lightning.training.device import find_device
from ser_lightning.training.history import last_epoch, read_history


def evaluate(run: RunFolder, config: Config | None = None) -> RunFolder:
    """Predict the test part with the kept checkpoint; adds its rows to predictions.csv and figures to result.json.

    A run that was evaluated before is returned as it stands. `config` is the run's own, perhaps with other paths.

    Raises:
        UserError: the run isn't finished or is of another result version, the corpus or the split is not what it was
            trained on.
    """
    own_process()
    if not run.finished:
        raise UserError(f"run {run.id} is not finished; start its `ser train` again first")
    with owned(run.lock), logged_to(run.log):
        if "test" not in (result := run.read_result()):
            write_json(run.result, result | _evaluate(run, config or run.read_config(), result))
        forget_epochs(run)
    return run


def _evaluate(run: RunFolder, config: Config, result: Mapping[str, Any]) -> dict[str, Any]:
    """What result.json says of the test part, whose rows are put into predictions.csv."""
    device = find_device(config.training)
    prepared = prepare(config)
    _check(run, prepared, result)
    parts, proof = _proven(run, prepared)
    learner = make_learner(prepared)
    learner.load(run.checkpoints)
    data = prepared.data(parts, ("test",), learner.streams, device)
    kind = "every epoch" if config.training.keep_epochs else "chosen on validation"
    record(run, config, run.path.parent, run.id, configuration_of(config), kind, proof.labels)
    found = predict(prepared, learner, data, parts, "test")
    draw(prepared, run, found, "test", proof.labels)
    beside = score_beside(run, learner, data, found, result)
    whole = shown(config, environment=run.read_environment(), split_proof=proof.as_dict())
    with tracked(config.tracking, RunIdentity.of(config, run.attempt_id, proof.labels), whole, run.path) as logger:
        if logger:
            tell(logger, prepared, run, found, "test", last_epoch(read_history(run.metrics)))
    (Predictions.read(run.predictions).without("test") + found).write(run.predictions)
    return {"test": found.scores().as_dict()} | beside


def _check(run: RunFolder, prepared: Prepared, result: Mapping[str, Any]) -> None:
    if result["result_version"] != RESULT_VERSION:
        raise UserError(
            f"run {run.id} is of result version {result['result_version']}, this program of {RESULT_VERSION}, whose "
            "numbers differ: evaluate it with the version it was trained with, or train it again"
        )
    if prepared.corpus.manifest_digest != result["manifest"]:
        raise UserError(
            f"the corpus at {prepared.config.corpus['root']} is not the one run {run.id} was trained on: files or "
            "labels have changed; restore it (or point to it with corpus.root=...), or train again"
        )


def _proven(run: RunFolder, prepared: Prepared) -> tuple[Assignment, Proof]:
    """The split that was trained on, from the run's own record, proven again."""
    rows, parts = prepared.corpus.utterances, run.read_split()
    changed = UserError(f"{run.split} is not the split run {run.id} was trained on; train the run again")
    if set(parts) != {row.id for row in rows}:
        raise changed
    proof = prepared.prove(parts)
    if proof.as_dict() != run.read_proof():
        raise changed
    return parts, proof
