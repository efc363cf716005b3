"""`ser evaluate RUN`: score the test part of a finished run, and record that it was looked at."""

import csv
from dataclasses import asdict
from datetime import UTC, datetime

from ser_lightning.config.schema import Config
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv, write_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.lock import owned
from ser_lightning.runs.logs import logged_to
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.runs.train import draw, find_device, predictions, wandb_identity
from ser_lightning.tracking.wandb import log_scores, tracked
from ser_lightning.training.learner import LightningLearner

LOOKS = "test_looks.csv"
"""Beside the run folders: every look at a test part, by which run and when."""


def evaluate(run: RunFolder, config: Config | None = None) -> RunFolder:
    """Predict the test part with the kept checkpoint; adds its rows to predictions.csv and figures to result.json.

    A run that was evaluated before is returned as it stands. `config` is the run's own, perhaps with other paths.

    Raises:
        UserError: the run isn't finished, or the corpus is not what it was trained on.
    """
    if not run.finished:
        raise UserError(f"run {run.id} is not finished; start its `ser train` again first")
    with owned(run.lock), logged_to(run.log):
        if "test" not in run.read_result():
            _evaluate(run, config or run.read_config())
    return run


def _evaluate(run: RunFolder, config: Config) -> None:
    prepared = prepare(config)
    if prepared.corpus.manifest_digest != run.read_result()["manifest"]:
        raise UserError(
            f"the corpus at {config.corpus['root']} is not the one run {run.id} was trained on: files or "
            "labels have changed; restore it (or point to it with corpus.root=...), or train again"
        )
    parts, proof = _parts(run), prepared.split()[1]
    learner = LightningLearner(config, prepared.shapes, prepared.corpus.classes)
    learner.load(run.best)
    data = prepared.data(parts, ("test",), learner.streams, find_device(config.training.accelerator))
    _record_look(run, prepared, parts)
    found = predictions(prepared, parts, "test", learner.predict(data, "test"))
    draw(run, found, "test", prepared.corpus.classes)
    shown = wandb_identity(prepared, run, run.attempt, proof)
    with tracked(config.tracking, shown, asdict(config), run.path) as logger:
        log_scores(logger, "test", found.scores(), prepared.corpus.classes, run.confusion("test"))
    (Predictions.read(run.predictions).without("test") + found).write(run.predictions)
    scored = Predictions.read(run.predictions).part("test").scores()
    write_json(run.result, run.read_result() | {"test": scored.as_dict()})


def _parts(run: RunFolder) -> Assignment:
    """The split as it was trained on, from the run's own record."""

    def part(text: str) -> Part:
        if text in ("train", "validation", "test"):
            return text  # type: ignore[return-value]
        raise UserError(f"{run.split}: unknown part `{text}`")

    return {row["id"]: part(row["part"]) for row in read_csv(run.split)}


def _record_look(run: RunFolder, prepared: Prepared, parts: Assignment) -> None:
    """Append before predicting: a look that fails half-way has still been one."""
    path = run.path.parent / LOOKS
    new = not path.exists()
    speakers = sorted({u.speaker for u in prepared.corpus.utterances if parts[u.id] == "test"})
    with path.open("a", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        if new:
            writer.writerow(("time", "run", "experiment", "corpus", "test_speakers"))
        writer.writerow(
            (
                datetime.now(UTC).isoformat(timespec="seconds"),
                run.id,
                prepared.config.experiment or "",
                prepared.config.corpus["name"],
                " ".join(speakers),
            )
        )
