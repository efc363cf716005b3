"""What a W&B run holds, as the recording server got it; and what the other loggers wrote."""

import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import wandb
from sklearn.metrics import recall_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Tracking
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.train import train
from ser_lightning.tracking.segments import logged_metrics, segments
from ser_lightning.tracking.tables import utterance_rows
from ser_lightning.tracking.upload import upload
from ser_lightning.tracking.wandb import RunIdentity, log_summary, tracked
from ser_lightning.training.history import read_history

from .recorded import Run
from .recorder import Recorder, _Handler


def table(run: Run, key: str) -> dict[str, Any]:
    """The file of a table that was logged under `key`."""
    content = run.files[run.summary[key]["path"]]
    assert content is not None
    return json.loads(content)  # type: ignore[no-any-return]


@pytest.fixture
def online(tiny: list[str]) -> list[str]:
    return [*tiny, "tracking.mode=online", "tracking.project=p", "training.learning_rate=0.01", "pictures=true"]


def test_a_run_has_all_that_runs_are_compared_by(recorder: Recorder, online: list[str]) -> None:
    folder = evaluate(train(compose([*online, "tracking.utterances=4", "tracking.audio=2"]).config))
    run, result = recorder.store.only, folder.read_result()
    history = [{k: v for k, v in row.items() if k[0] != "_" and k != "trainer/global_step"} for row in run.history]
    rows = [{k: v for k, v in row.items() if k != "step"} for row in read_history(folder.metrics)]
    assert [row for row in history if "epoch" in row and "train/loss" in row] == rows
    measured = {"learning_rate", "seconds", "utterances_per_second", "memory", "gradient_norm"}
    assert measured | {"validation/recall_high", "validation/wa", "train/uar"} < rows[0].keys()
    assert all(row["gradient_norm"] and row["memory"] and row["utterances_per_second"] for row in rows)

    chosen = result["checkpoint"]["epoch"]
    assert (run.summary["best_epoch"], run.summary["fit"]["parameters"]) == (chosen, result["parameters"])
    uars, losses = ([row[name] for row in rows] for name in ("validation/uar", "train/loss"))
    assert run.summary["validation/uar"] == {"max": max(uars), "last": uars[-1]}  # type: ignore[type-var]
    assert run.summary["train/loss"] == {"min": min(losses), "last": losses[-1]}  # type: ignore[type-var]
    assert (run.summary["learning_rate"], run.summary["epoch"]) == (0.01, len(rows) - 1)
    assert uars[chosen] == max(uars) == pytest.approx(run.summary["final/validation/uar"], abs=1e-6)  # type: ignore[type-var]

    assert run.config["split_proof"] == json.loads(folder.proof.read_text(encoding="utf-8"))
    assert run.config["environment"] == json.loads(folder.environment.read_text(encoding="utf-8"))
    assert run.config["training"]["learning_rate"] == 0.01
    assert run.lost == []
    for part in ("validation", "test"):
        _check_utterances(run, part, Predictions.read(folder.predictions).part(part))


def _check_utterances(run: Run, part: str, found: Predictions) -> None:
    shown = table(run, f"{part}/utterances")
    assert shown["columns"] == ["id", "speaker", "label", "prediction", "confidence", "correct"]
    assert (len(shown["data"]), run.summary[f"{part}/utterances_left_out"]) == (4, len(found.ids) - 4)
    for name, speaker, label, prediction, confidence, correct in shown["data"]:
        at = found.ids.index(name)
        exponentials = np.exp(found.logits[at])
        shares = exponentials / exponentials.sum()
        assert (found.speakers[at], found.labels[at]) == (speaker, label)
        assert (found.classes[int(shares.argmax())], shares.max()) == (prediction, pytest.approx(confidence))
        assert correct is (label == prediction)
    counts = {(true, predicted): count for true, predicted, count in table(run, f"{part}/confusion_table")["data"]}
    recalls = [counts["high", "high"] / 3, counts["low", "low"] / 3]
    assert run.summary[f"final/{part}/uar"] == pytest.approx(np.mean(recalls))
    predicted = [found.classes[i] for i in found.logits.argmax(1)]
    assert np.mean(recalls) == pytest.approx(recall_score(found.labels, predicted, average="macro"))


def test_the_wrong_ones_come_first_and_what_is_most_surely_wrong_before_all() -> None:
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0], [0.5, 0.0], [0.0, 0.0]])
    labels = ["a", "a", "a", "a", "b"]
    found = Predictions(["a", "b"], list("uvwxy"), ["s"] * 5, ["test"] * 5, labels, logits)
    rows = utterance_rows(found)
    assert [row[0] for row in rows] == ["w", "v", "y", "x", "u"]
    assert rows[0] == ["w", "s", "a", "b", pytest.approx(1 / (1 + np.exp(-3.0))), False]
    assert rows[-1] == ["u", "s", "a", "a", pytest.approx(1 / (1 + np.exp(-2.0))), True]
    assert rows[2][3:] == ["a", 0.5, False]


def test_sounds_and_spectrograms_are_of_the_most_surely_wrong(recorder: Recorder, online: list[str]) -> None:
    none = train(compose([*online, "training.learning_rate=1e-9", "tracking.utterances=0"]).config)
    assert "validation/utterances" not in recorder.store.only.summary
    assert not any("audio" in name for name in recorder.store.only.files)
    wrong = [row for row in utterance_rows(Predictions.read(none.predictions)) if not row[5]]
    assert len(wrong) >= 2, "the untrained network must err"
    words = [*online, "training.learning_rate=1e-9", "tracking.audio=2", "tracking.project=q", "seed=1"]
    folder = train(compose(words).config)
    run = recorder.store.runs[f"lab/q/{folder.attempt_id}"]
    wrong = [row for row in utterance_rows(Predictions.read(folder.predictions)) if not row[5]]
    assert [row[0] for row in table(run, "validation/confidently_wrong")["data"]] == [row[0] for row in wrong[:2]]
    (shown,) = (one.files for one in recorder.store.artifacts.values() if "confidently_wrong" in one.name)
    heard = [soundfile.read(io.BytesIO(found or b"")) for name, found in shown.items() if name.endswith(".wav")]
    recordings = [
        soundfile.read(Path(folder.read_config().corpus["root"]).parent / f"{row[0]}.wav") for row in wrong[:2]
    ]
    assert sorted(len(samples) for samples, _ in heard) == sorted(len(samples) for samples, _ in recordings)
    for samples, rate in heard:
        assert rate == 16000
        same = [found for found, _ in recordings if len(found) == len(samples)]
        assert any(np.abs(found - samples).max() < 2 / 2**15 for found in same)
    pictures = [found or b"" for name, found in shown.items() if name.startswith("media/images/")]
    assert [found[:4] for found in pictures] == [b"\x89PNG"] * 2


def test_a_support_vector_machine_has_scores_and_lineage_too(recorder: Recorder, online: list[str]) -> None:
    kept = [word for word in online if not word.startswith(("model", "training"))]
    words = [*kept, "model=linear_svm", "training=classical", "features=egemaps", "model.inner_folds=2"]
    folder = train(compose(words).config)
    run, result = recorder.store.only, folder.read_result()
    assert run.summary["final/validation/uar"] == result["validation"]["uar"]
    assert run.summary["fit"]["cost"] == result["cost"]
    assert "best_epoch" not in run.summary
    assert table(run, "validation/utterances")["data"]
    (model,) = (one for one in recorder.store.artifacts.values() if one.type == "model")
    assert model.manifest is not None
    assert {"train.npz", "train_validation.npz"} < model.manifest["contents"].keys()


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_weights_and_what_they_were_made_from_are_artifacts(recorder: Recorder, online: list[str], mode: str) -> None:
    folder = train(compose([*online, f"tracking.mode={mode}"]).config)
    if mode == "offline":
        assert upload(segments(folder.path)[0], 60) == (True, "")
    found = {artifact.type: artifact for artifact in recorder.store.artifacts.values()}
    dataset, model = found["dataset"], found["model"]
    assert (dataset.name, dataset.state) == ("table-features", "COMMITTED")
    assert recorder.store.used == [(recorder.store.only.path, dataset.id)]
    source = dataset.metadata
    assert (source["manifest"], source["utterances"]) == (folder.read_result()["manifest"], {"high": 18, "low": 18})
    content = dataset.files["dataset.json"]
    assert content is not None and json.loads(content) == source
    (stream,) = source["features"].values()
    store = Path(folder.read_config().cache_dir) / "features" / stream["key"]
    described = json.loads((store / "extractor.json").read_text(encoding="utf-8"))
    assert (described["name"], described["parameters"]) == (stream["extractor"], stream["parameters"])
    assert (model.name, model.state) == (f"model-{folder.attempt_id}", "COMMITTED")
    assert model.metadata["checkpoint"] == folder.read_result()["checkpoint"]
    assert model.manifest is not None
    best = model.manifest["contents"]["best.ckpt"]
    assert (best["ref"], best["size"]) == (
        (folder.checkpoints / "best.ckpt").as_uri(), (folder.checkpoints / "best.ckpt").stat().st_size,
    )  # fmt: skip
    assert model.uploads == {}


def test_weights_are_uploaded_where_that_is_asked_and_nothing_where_not(recorder: Recorder, online: list[str]) -> None:
    folder = train(compose([*online, "tracking.artifacts=files"]).config)
    (model,) = (one for one in recorder.store.artifacts.values() if one.type == "model")
    assert model.files["best.ckpt"] == (folder.checkpoints / "best.ckpt").read_bytes()
    before = len(recorder.store.artifacts)
    train(compose([*online, "tracking.artifacts=none", "seed=1"]).config)
    assert {one.type for one in list(recorder.store.artifacts.values())[before:]} == {"run_table"}


def test_the_best_of_a_curve_is_that_of_all_starts(recorder: Recorder, tmp_path: Path) -> None:
    rows = [{"epoch": epoch, "validation/uar": uar} for epoch, uar in enumerate((0.5, 0.9, 0.3, 0.4))]
    identity = RunIdentity("x-1", "n", "g", "train", ())
    for start in (rows[:2], rows[2:]):
        with tracked(Tracking("online", "p"), identity, {}, tmp_path) as logger:
            assert logger is not None
            for row in start:
                logger.log_metrics(row)
    run = recorder.store.only
    assert run.summary["validation/uar"] == {"max": 0.4, "last": 0.4}, "wandb knows better now: log_summary may go"
    with tracked(Tracking("online", "p"), identity, {}, tmp_path) as logger:
        assert logger is not None
        log_summary(logger, rows, {"checkpoint": {"epoch": 1}})
    assert run.summary["validation/uar"] == {"max": 0.9, "last": 0.4}
    assert run.summary["best_epoch"] == 1


def test_a_tag_that_is_too_long_costs_no_run(recorder: Recorder, tmp_path: Path) -> None:
    identity = RunIdentity("x-1", "n", "g", "train", ["short", "test lacks " + "happiness, " * 10])
    with tracked(Tracking("online", "p"), identity, {}, tmp_path):
        pass
    assert [len(tag) for tag in recorder.store.only.tags] == [5, 64]


def test_what_cannot_be_logged_costs_itself_alone(
    recorder: Recorder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise UserError("a recording has changed\nand what to do")

    identity = RunIdentity("x-1", "n", "g", "train", ())
    with pytest.raises(StoppedError), tracked(Tracking("online", "p"), identity, {}, tmp_path) as logger:
        assert logger is not None
        assert [logger.attempt(fails), logger.attempt(fails)] == [False, False]
        logger.log_metrics({"epoch": 0, "train/loss": 0.5})
        log_summary(logger, [], {"checkpoint": {"epoch": 1}})
        raise StoppedError("a test", 99)
    assert logger.lost
    run = recorder.store.only
    assert ([row["train/loss"] for row in run.history], run.summary["best_epoch"], run.exit_codes) == ([0.5], 1, [99])
    assert [segment.waits for segment in segments(tmp_path)] == [False]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("W&B: a recording has changed; ")


def test_a_run_of_whoever_calls_is_left_alone(tmp_path: Path) -> None:
    with wandb.init(mode="offline", project="mine", dir=tmp_path) as own:
        with tracked(Tracking(), RunIdentity("x-1", "n", "g", "train", ()), {}, tmp_path / "mine") as logger:
            assert logger is not None and logger.experiment.id == "x-1"
            limits = logger.experiment.settings.init_timeout, logger.experiment.settings.finish_timeout
            assert limits == (30, 30), "else a server that vanishes would be waited for without end"
            logger.log_metrics({"epoch": 0, "train/loss": 0.5})
        own.log({"theirs": 1})
        assert set(own.summary.keys()) - {"_runtime", "_step", "_timestamp"} == {"theirs"}
    assert (0, "train/loss") in logged_metrics(tmp_path / "mine")


SECRET = "word-of-the-command-line"
REMOTE = "https://example.org/someone/private-work.git"


@pytest.fixture
def everything(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bytes]:
    """What clients sent to the server so far, headers included."""
    got: list[bytes] = []
    plain = _Handler.setup

    class Tee:
        def __init__(self, source: Any) -> None:
            self.source = source

        def read(self, *size: int) -> bytes:
            return self._keep(self.source.read(*size))

        def readline(self, *size: int) -> bytes:
            return self._keep(self.source.readline(*size))

        def _keep(self, data: bytes) -> bytes:
            got.append(data)
            return data

        def __getattr__(self, name: str) -> Any:
            return getattr(self.source, name)

    def setup(handler: _Handler) -> None:
        plain(handler)
        handler.rfile = Tee(handler.rfile)  # type: ignore[assignment]

    monkeypatch.setattr(_Handler, "setup", setup)
    return lambda: b"".join(got)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_what_is_told_of_the_machine_can_be_turned_off(
    recorder: Recorder,
    online: list[str],
    everything: Callable[[], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    private: bool,
) -> None:
    work = tmp_path / "work"
    for command in (["init", "-q", str(work)], ["-C", str(work), "remote", "add", "origin", REMOTE]):
        subprocess.run(["git", *command], check=True)
    commit = ["-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "--allow-empty", "-m", "m"]
    subprocess.run(["git", "-C", str(work), *commit], check=True)
    head = subprocess.run(["git", "-C", str(work), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    monkeypatch.chdir(work)
    monkeypatch.setattr(sys, "argv", ["ser", "train", SECRET])
    config = compose([*online, f"tracking.mode={mode}", f"tracking.private={str(private).lower()}"]).config
    folder = train(config)
    if mode == "offline":
        assert upload(segments(folder.path)[0], 60) == (True, "")
    received = everything()
    assert b"validation/uar" in received
    hosts = set(re.findall(rb'"host": ?"([^"]*)"', received))
    assert hosts <= {b"private"} if private else hosts == {socket.gethostname().encode()}
    secrets = [SECRET, REMOTE, head.stdout.strip(), "torchmetrics=="]
    assert {text: text.encode() in received for text in secrets} == dict.fromkeys(secrets, not private)
    run = recorder.store.only
    assert ("packages" in run.config["environment"]) is not private
    assert bool({"requirements.txt", "wandb-metadata.json"} & run.files.keys()) is not private
    assert not private or (run.output, run.events) == ("", [])


class StopInTheSecondEpoch(StopRequest):
    def step_ends(self, trainer: Any) -> None:
        if trainer.current_epoch == 1:
            self.request("a test", 99)


def test_other_loggers_have_every_epoch_once_also_after_a_resume(tiny: list[str]) -> None:
    config = compose([*tiny, "tracking.also=[tensorboard,csv]"]).config
    with pytest.raises(StoppedError):
        train(config, StopInTheSecondEpoch())
    (left,) = (path for path in Path(config.runs_dir).iterdir() if (path / "csv").is_dir())
    assert len(read_csv(left / "csv" / "metrics.csv")) == 1
    folder = train(config)
    rows = read_history(folder.metrics)
    assert [row["epoch"] for row in rows] == [0, 1, 2]
    logged = EventAccumulator(str(folder.path / "tensorboard")).Reload()
    assert set(logged.Tags()["scalars"]) == rows[0].keys() - {"step"}
    for name in ("train/loss", "validation/uar", "gradient_norm"):
        events = logged.Scalars(name)
        assert [event.step for event in events] == [int(row["step"] or 0) - 1 for row in rows]
        assert [event.value for event in events] == pytest.approx([row[name] for row in rows], rel=1e-6)
    table = read_csv(folder.path / "csv" / "metrics.csv")
    assert [float(row["validation/uar"]) for row in table] == [row["validation/uar"] for row in rows]


def test_loggers_that_cannot_work_are_said_before_the_work(tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.tracking.loggers.find_spec", lambda name: None)
    config = compose([*tiny, "tracking.also=[tensorboard]"]).config
    with pytest.raises(UserError, match=r"pip install 'ser-lightning\[tensorboard\]'"):
        train(config)
    assert not list(Path(config.runs_dir).glob("*/checkpoints"))
