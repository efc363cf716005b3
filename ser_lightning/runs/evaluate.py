"""`ser evaluate RUN`: score the test part of a finished run, and record that it was looked at."""

from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import Assignment
from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_json, write_json
from ser_lightning.processes.lock import owned
from ser_lightning.processes.scheduler import own_process
from ser_lightning.runs.beside import forget_epochs, score_beside
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.outcome import draw, recording_of, rows_of, wandb_config, wandb_identity
from ser_lightning.runs.prepare import Prepared, make_learner, prepare
from ser_lightning.runs.vault import configuration_of, record
from ser_lightning.tracking.tables import log_part
from ser_lightning.tracking.wandb import tracked
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
        if "test" not in run.read_result():
            _evaluate(run, config or run.read_config())
        forget_epochs(run)
    return run


def _evaluate(run: RunFolder, config: Config) -> None:
    device = find_device(config.training)
    prepared = prepare(config)
    _check(run, prepared)
    parts, proof = _proven(run, prepared)
    learner = make_learner(prepared)
    learner.load(run.checkpoints)
    data = prepared.data(parts, ("test",), learner.streams, device)
    identity = wandb_identity(config, run, proof.labels)
    kind = "every epoch" if config.training.keep_epochs else "chosen on validation"
    record(run, config, run.path.parent, run.id, configuration_of(config), kind, proof.labels)
    found = rows_of(prepared, parts, "test", learner.predict(data, "test"))
    draw(config, run, found, "test", proof.labels)
    beside = score_beside(run, learner, data, found)
    with tracked(config.tracking, identity, wandb_config(config, run), run.path) as logger:
        if logger:
            picture, epoch = run.confusion("test"), last_epoch(read_history(run.metrics))
            log_part(logger, "test", found, picture, config.tracking, recording_of(prepared), epoch)
    (Predictions.read(run.predictions).without("test") + found).write(run.predictions)
    scored = Predictions.read(run.predictions).part("test").scores()
    write_json(run.result, run.read_result() | {"test": scored.as_dict()} | beside)


def _check(run: RunFolder, prepared: Prepared) -> None:
    result = run.read_result()
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
    if proof.as_dict() != read_json(run.proof):
        raise changed
    return parts, proof
