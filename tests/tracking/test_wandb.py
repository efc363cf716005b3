"""Offline runs read back with wandb's own reader: identity, configuration, history, end."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Tracking
from ser_lightning.errors import StoppedError
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.runs.evaluate import evaluate
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train
from ser_lightning.tracking.wandb import RunIdentity, tracked


@pytest.fixture
def words(tiny: list[str]) -> list[str]:
    return [*tiny, "tracking.mode=offline", "tracking.project=p", "tracking.tags=[mine]", "pictures=true"]


def segments(run: RunFolder) -> list[Path]:
    return sorted((run.path / "wandb").glob("offline-run-*"))


def records(segment: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment), "--json"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in shown.splitlines()]


def summary(segment: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment), "--summary", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # type: ignore[no-any-return]


def test_what_an_engineer_filters_by_is_there(words: list[str]) -> None:
    run = train(compose(words).config)
    (segment,) = segments(run)
    found, rows = summary(segment), records(segment)
    assert found["run_id"] == f"{run.id}-1"
    assert (found["project"], found["name"], found["state"], found["exit_code"]) == (
        "p", "mfcc_lstm table seed 0", "finished", 0,
    )  # fmt: skip
    assert found["tags"] == ["mfcc_lstm", "mine", "speakers", "table"] or set(found["tags"]) == {
        "mfcc_lstm", "mine", "speakers", "table",
    }  # fmt: skip
    assert found["config"]["model"]["hidden_dim"] == 8
    assert found["config"]["features"]["fine"]["n_mels"] == 40
    opened = next(row["run"] for row in rows if row["type"] == "run")
    assert (opened["run_group"], opened["job_type"]) == ("default", "train")
    history = [row["history"]["item"] for row in rows if row["type"] == "history"]
    uar = {item["epoch"]: item["validation/uar"] for item in history if "validation/uar" in item}
    assert sorted(uar) == [0, 1, 2]
    assert max(uar.values()) == pytest.approx(run.read_result()["validation"]["uar"], abs=1e-6)
    metrics = [row["metric"] for row in rows if row["type"] == "metric"]
    assert any(m.get("glob_name") == "*" and m.get("step_metric") == "epoch" for m in metrics)
    assert found["summary"]["final/validation/uar"] == run.read_result()["validation"]["uar"]
    assert found["summary"]["validation/confusion_table"]["nrows"] == 4
    assert found["summary"]["validation/confusion_matrix"]["_type"] == "image-file"


class StopAtOnce(StopRequest):
    def step_ends(self, trainer: Any) -> None:
        self.request("a test", 99)


def test_the_id_is_kept_over_a_resume_and_an_evaluation_and_new_after_a_removal(words: list[str]) -> None:
    config = compose(words).config
    with pytest.raises(StoppedError):
        train(config, StopAtOnce())
    run = evaluate(train(config))
    found = [summary(segment) for segment in segments(run)]
    assert [one["run_id"] for one in found] == [f"{run.id}-1"] * 3
    assert [one["exit_code"] for one in found] == [99, 0, 0]
    assert "final/test/uar" in found[-1]["summary"]
    shutil.rmtree(run.path)
    assert {summary(one)["run_id"] for one in segments(train(config))} == {f"{run.id}-2"}


def test_off_leaves_nothing_and_does_not_import_wandb_run(words: list[str]) -> None:
    import wandb

    run = train(compose([*words, "tracking.mode=off"]).config)
    assert not (run.path / "wandb").exists()
    assert wandb.run is None


def test_a_server_that_does_not_answer_is_said_and_costs_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    with tracked(Tracking(mode="online"), RunIdentity("x", "x", "g", "train", ()), {}, tmp_path) as logger:
        assert logger is not None
    assert "127.0.0.1:9 does not answer" in capsys.readouterr().err.replace("\n", " ")
    assert len(list((tmp_path / "wandb").glob("offline-run-*"))) == 1


def test_telemetry_is_off_inside_and_the_environment_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    monkeypatch.delenv("WANDB_ERROR_REPORTING", raising=False)
    monkeypatch.setenv("WANDB_SILENT", "false")
    before = dict(os.environ)
    with tracked(Tracking(), RunIdentity("x", "x", "g", "train", ()), {}, tmp_path):
        assert os.environ["WANDB_ERROR_REPORTING"] == "false"
        assert os.environ["WANDB_SILENT"] == "false"
    assert {k: v for k, v in os.environ.items() if k.startswith("WANDB_ER")} == {
        k: v for k, v in before.items() if k.startswith("WANDB_ER")
    }


LEFT = {
    "WANDB_PROJECT": "other", "WANDB_ENTITY": "other", "WANDB_SWEEP_ID": "abc", "WANDB_RUN_ID": "one",
    "WANDB_TAGS": "z", "WANDB_RUN_GROUP": "other", "WANDB_JOB_TYPE": "other", "WANDB_NAME": "other",
    "WANDB_MODE": "disabled", "WANDB_DISABLED": "true", "WANDB_RESUME": "must", "WANDB_NOTES": "other",
    "WANDB_DIR": "elsewhere",
    "WANDB_CONFIG": '{"model": "other"}',
}  # fmt: skip
SENT_ON = {"WANDB_HTTP_TIMEOUT": "7", "WANDB_BASE_URL": "http://127.0.0.1:9", "WANDB_HTTP_PROXY": "http://127.0.0.1:8"}


def test_the_configuration_says_what_a_run_is_and_not_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    import wandb

    wandb.teardown()  # it reads the environment once
    for name, text in (LEFT | SENT_ON).items():
        monkeypatch.setenv(name, text)
    settings, identity = Tracking(project="p"), RunIdentity("x-1", "n", "g", "train", ("t",))
    with tracked(settings, identity, {"model": "m"}, tmp_path) as logger:
        assert logger is not None
        own = logger.experiment.settings
        assert not LEFT.keys() & os.environ.keys()
        assert (own.project, own.entity, own.run_id, own.sweep_id, own.run_notes) == ("p", None, "x-1", None, None)
        assert (own.run_group, own.run_job_type, own.run_name, own.run_tags) == ("g", "train", "n", ("t",))
        assert (own.x_graphql_timeout_seconds, own.http_proxy) == (7, SENT_ON["WANDB_HTTP_PROXY"])
        assert dict(logger.experiment.config) == {"model": "m"}
    wandb.teardown()
    assert {name: os.environ[name] for name in LEFT} == LEFT, "a notebook's own is left to it"
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "do not count" in line]
    assert all(name in line for name in LEFT) and not any(name in line for name in SENT_ON)
    assert len(list((tmp_path / "wandb").glob("offline-run-*-x-1"))) == 1
    assert not (tmp_path / "elsewhere").exists()


def test_every_setting_of_a_run_that_wandb_reads_from_the_environment_is_the_configurations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wandb.sdk.wandb_settings import Settings

    from ser_lightning.tracking.environment import DECIDED

    named = [name for name in Settings.model_fields if name.startswith(("run_", "sweep_", "resume", "fork_"))]
    assert len(named) > 8
    free = [name for name in named if not {f"WANDB_{name.upper()}", f"WANDB_{name.upper()[4:]}"} & DECIDED]
    assert free == []
