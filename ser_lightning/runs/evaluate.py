"""`ser evaluate RUN`: score the test part of a finished run, and record that it was looked at."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from ser_lightning.config.identity import identity
from ser_lightning.config.overrides import parse
from ser_lightning.config.schema import Config
from ser_lightning.data.splits import Assignment, Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv, write_json
from ser_lightning.runs.folder import RunFolder, find
from ser_lightning.runs.prepare import Prepared, prepare
from ser_lightning.runs.train import draw, find_device, predictions, wandb_identity
from ser_lightning.tracking.wandb import log_scores, tracked
from ser_lightning.training.learner import LightningLearner

LOOKS = "test_looks.csv"
"""Beside the run folders: every look at a test part, by which run and when."""


def evaluate(name: str, words: Sequence[str] = ()) -> RunFolder:
    """Predict the test part with the kept checkpoint; adds its rows to predictions.csv and figures to result.json.

    A run that was evaluated before is returned as it stands. `words` are overrides of what doesn't change the run's
    numbers: where corpus, runs and cache lie, the accelerator, tracking.

    Raises:
        UserError: no such run, it isn't finished, an override would make it another run, or the corpus is not what
            it was trained on.
    """
    run = find(name, next((o.text for o in parse(words) if o.key == "runs_dir"), "runs"))
    config = run.read_config(words)
    if identity(config) != identity(run.read_config()):
        raise UserError(f"{' '.join(words)}: would make another run of {run.id}; train that one instead")
    if not run.finished:
        raise UserError(f"run {run.id} is not finished; start its `ser train` again first")
    with run.lock():
        if "test" not in run.read_result():
            _evaluate(run, config)
    return run


def _evaluate(run: RunFolder, config: Config) -> None:
    prepared = prepare(config)
    if prepared.corpus.manifest_digest != run.read_result()["manifest"]:
        raise UserError(f"the corpus at {config.corpus['root']} is not the one run {run.id} was trained on: files or "
                        "labels have changed; restore it (or point to it with corpus.root=...), or train again")
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
        writer.writerow((datetime.now(UTC).isoformat(timespec="seconds"), run.id, prepared.config.experiment or "",
                         prepared.config.corpus["name"], " ".join(speakers)))
