"""The recording server against wandb itself: what arrives, what is resumed, and what is answered when told to fail."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import requests

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Tracking
from ser_lightning.errors import StoppedError
from ser_lightning.files import write_csv
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.train import train
from ser_lightning.tracking.wandb import RunIdentity, tracked
from ser_lightning.training.history import read_history
from ser_lightning.training.making_up import MakingUp

from .recorder import KEY, STREAM, TELEMETRY, UPLOAD, Recorder

SCRIPT = """
import sys, wandb
from pathlib import Path
first, last, code = map(int, sys.argv[1:])
run = wandb.init(project="p", id="x-1", name="n", group="g", job_type="train", tags=["a", "b"],
                 config={"model": {"dim": 8}}, resume="allow", allow_val_change=True)
run.define_metric("epoch")
run.define_metric("*", step_metric="epoch")
for epoch in range(first, last):
    run.log({"epoch": epoch, "loss": 1 / (epoch + 1)})
if first == 0:
    Path("weights.bin").write_bytes(b"hello")
    artifact = wandb.Artifact("model", "checkpoint", metadata={"uar": 0.5})
    artifact.add_file("weights.bin")
    run.log_artifact(artifact)
run.finish(exit_code=code)
"""


def plain(folder: Path, first: int, last: int, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, str(first), str(last), str(code)]
    environment = os.environ | {"WANDB_ERROR_REPORTING": "false"} | variables
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_a_plain_run_arrives_whole_and_its_id_goes_on(recorder: Recorder, tmp_path: Path) -> None:
    assert plain(tmp_path, 0, 3).returncode == 0
    run = recorder.store.only
    assert (run.path, run.name, run.group, run.job_type) == ("lab/p/x-1", "n", "g", "train")
    assert (run.tags, run.config, run.step_metrics) == (["a", "b"], {"model": {"dim": 8}}, {"*": "epoch"})
    assert [(row["_step"], row["epoch"], row["loss"]) for row in run.history] == [(0, 0, 1), (1, 1, 0.5), (2, 2, 1 / 3)]
    assert (run.summary["loss"], run.exit_codes, run.lost) == (1 / 3, [0], [])
    assert {"config.yaml", "wandb-metadata.json", "requirements.txt"} <= run.files.keys()
    (artifact,) = recorder.store.artifacts.values()
    assert (artifact.name, artifact.type, artifact.state) == ("model", "checkpoint", "COMMITTED")
    assert (artifact.files, artifact.metadata) == ({"weights.bin": b"hello"}, {"uar": 0.5})
    assert artifact.digests() == {"weights.bin": hashlib.md5(b"hello").hexdigest()}
    assert plain(tmp_path, 3, 5, code=7).returncode == 0
    assert recorder.store.only is run
    assert [(row["_step"], row["epoch"]) for row in run.history] == [(i, i) for i in range(5)]
    assert (run.exit_codes, run.summary["epoch"]) == ([0, 7], 4)
    assert recorder.count(TELEMETRY) == 0


@pytest.mark.slow
def test_errors_of_the_server_are_retried_and_leave_no_doubles(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fail(STREAM, 500, 1)
    recorder.fail("UpsertBucket", 503, 1)
    recorder.fail(UPLOAD, 500, 1)
    assert plain(tmp_path, 0, 3).returncode == 0
    run = recorder.store.only
    assert [row["epoch"] for row in run.history] == [0, 1, 2]
    assert (run.lost, run.exit_codes) == ([], [0])
    assert {500, 503} <= {call.status for call in recorder.calls}


def test_refused_uploads_are_lost_without_a_word_of_wandb(recorder: Recorder, tmp_path: Path) -> None:
    recorder.fail(UPLOAD, 403)
    done = plain(tmp_path, 0, 1)
    assert (done.returncode, "403" in done.stderr) == (0, False)
    assert "config.yaml" in recorder.store.only.lost
    assert [row["epoch"] for row in recorder.store.only.history] == [0]


@pytest.mark.slow
def test_a_wrong_key_is_refused_and_a_hang_is_endured(recorder: Recorder, tmp_path: Path) -> None:
    assert plain(tmp_path, 0, 1, WANDB_API_KEY=KEY[::-1], WANDB_INIT_TIMEOUT="5").returncode != 0
    assert recorder.store.runs == {}
    recorder.fail("UpsertBucket", None)
    assert plain(tmp_path, 0, 1, WANDB_INIT_TIMEOUT="2").returncode != 0


def test_it_vanishes_and_comes_back_with_what_it_knew(recorder: Recorder) -> None:
    asked = {"query": "query Viewer { viewer { id } }", "variables": {}}
    url, key = f"{recorder.url}/graphql", ("api", KEY)
    recorder.vanish()
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json=asked, auth=key, timeout=5)
    recorder.appear()
    assert requests.post(url, json=asked, auth=key, timeout=5).json()["data"]["viewer"]["entity"] == "lab"


def test_what_it_does_not_know_is_kept() -> None:
    with Recorder() as recorder:
        asked = {"query": "mutation Dance { dance }", "variables": {}}
        answer = requests.post(f"{recorder.url}/graphql", json=asked, auth=("api", KEY), timeout=5)
        assert (answer.status_code, recorder.unknown) == (400, ["mutation Dance { dance }"])
        assert requests.get(f"{recorder.url}/elsewhere", timeout=5).status_code == 404
        assert recorder.unknown[1:] == ["GET /elsewhere"]


class StopInTheSecondEpoch(StopRequest):
    def step_ends(self, trainer: Any) -> None:
        if trainer.current_epoch == 1:
            self.request("a test", 99)


def test_a_training_that_was_stopped_and_resumed_is_one_run_without_gaps(recorder: Recorder, tiny: list[str]) -> None:
    config = compose([*tiny, "tracking.mode=online", "tracking.project=p", "pictures=true"]).config
    with pytest.raises(StoppedError):
        train(config, StopInTheSecondEpoch())
    folder = evaluate(train(config))
    run = recorder.store.only
    assert (run.path, run.job_type, run.group) == (f"lab/p/{folder.attempt_id}", "train", "default")
    assert run.config["model"]["hidden_dim"] == 8
    assert run.step_metrics["*"] == "epoch"
    expected = {int(row["epoch"] or 0): row for row in read_history(folder.metrics)}
    for name in ("train/loss", "validation/loss", "validation/uar"):
        rows = [(row["epoch"], row[name]) for row in run.history if name in row]
        assert [epoch for epoch, _ in rows] == [0, 1, 2]
        assert [value for _, value in rows] == pytest.approx([expected[e][name] for e in (0, 1, 2)], abs=1e-6)
    assert [row["_step"] for row in run.history] == list(range(len(run.history)))
    assert run.exit_codes == [99, 0, 0]
    assert run.summary["final/validation/uar"] == folder.read_result()["validation"]["uar"]
    assert run.summary["final/test/uar"] == folder.read_result()["test"]["uar"]
    assert run.lost == []
    assert any(name.startswith("media/images/") for name in run.files)


def test_epochs_that_the_server_has_are_not_logged_again(recorder: Recorder, tmp_path: Path) -> None:
    assert plain(tmp_path, 0, 2).returncode == 0
    rows = [(epoch, epoch + 1, 1 / (epoch + 1)) for epoch in range(4)]
    write_csv(tmp_path / "run" / "metrics.csv", ("epoch", "step", "train/loss"), rows)
    with tracked(Tracking("online", "p"), RunIdentity("x-1", "n", "g", "train", ()), {}, tmp_path / "run") as logger:
        trainer: Any = SimpleNamespace(current_epoch=3, loggers=[logger])
        MakingUp(tmp_path / "run", read_history(tmp_path / "run" / "metrics.csv")).on_train_start(
            trainer, L.LightningModule()
        )
    assert [(row["epoch"], row.get("train/loss")) for row in recorder.store.only.history] == [
        (0, None),
        (1, None),
        (2, pytest.approx(1 / 3)),
    ]
