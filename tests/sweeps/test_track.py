"""A study in W&B: offline runs read back with wandb's own reader."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from ser_lightning.config.compose import compose
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import prepare
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep_file import _absolute
from ser_lightning.sweeps.track import Tracker

RATE = "training.learning_rate"


def summary(segment: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "wandb", "leet", "inspect", str(segment), "--summary", "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # type: ignore[no-any-return]


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "wandb").glob("offline-run-*"))


def begun(frozen: Frozen, number: int) -> RunFolder:
    """The folder of a trial's run, as a training leaves it that was begun."""
    config = frozen.config({RATE: 0.01 * (number + 1)}, number)
    run = RunFolder(prepare(config).run_path)
    run.begin(config)
    return run


def study_of(tiny: list[str], path: Path, mode: str) -> tuple[StudyFolder, Frozen]:
    config = compose([*tiny, f"tracking.mode={mode}", "tracking.project=p"]).config
    settings = StudySettings("s", trials=3, pruner={"name": "none"})
    space = {RATE: {"float": [1e-4, 1e-1]}}
    start = [{RATE: 0.01 * (number + 1)} for number in range(3)]
    return StudyFolder(path / "studies" / "s"), Frozen(settings, _absolute(asdict(config)), {}, space, {}, start, [])


def test_each_trial_says_how_it_ended_and_the_study_has_a_table(tiny: list[str], tmp_path: Path) -> None:
    folder, frozen = study_of(tiny, tmp_path, "offline")
    study = open_study(folder, frozen)
    runs = [begun(frozen, number) for number in range(2)]
    ends = [
        (TrialState.COMPLETE, 0.75, ""),
        (TrialState.PRUNED, None, "pruned by median after epoch 4"),
        (TrialState.FAIL, None, "its corpus is gone"),
    ]
    with Tracker(study, folder, frozen) as tracker:
        for number, (state, value, reason) in enumerate(ends):
            trial = study.ask()
            frozen.searched.suggest(trial)
            if number < 2:
                trial.set_user_attr("run", str(runs[number].path))
            trial.set_user_attr("reason", reason)
            study.tell(trial, value, state)
            if number != 1:  # the worker of trial 1 was killed before it could tell: the study's end makes up for it
                tracker.ended(number, runs[number : number + 1])
    for number, (state, value, reason) in enumerate(ends[:2]):
        (segment,) = segments(runs[number].path)
        found = summary(segment)
        assert (found["run_id"], found["name"]) == (f"{runs[number].id}-1", f"s trial {number}")
        assert found["config"]["trial"] == {"number": number, "values": {RATE: pytest.approx(0.01 * (number + 1))}}
        assert found["config"]["model"]["hidden_dim"] == 8
        assert found["summary"]["trial/state"] == state.name
        assert found["summary"].get("objective/validation/uar") == value
        assert found["summary"]["trial/reason"] == reason
        assert found["exit_code"] == 0
    (segment,) = segments(folder.path)
    found = summary(segment)
    assert found["run_id"] == f"s-{folder.id.read_text()[:8]}"
    assert (found["project"], found["name"]) == ("p", "s")
    assert found["summary"]["trials"] == {"COMPLETE": 1, "PRUNED": 1, "FAIL": 1}
    assert found["summary"]["best"][0]["number"] == 0
    assert "storage" not in found["config"]["study"]
    (table,) = segment.glob("files/media/table/*.json")
    shown = json.loads(table.read_text())
    assert shown["columns"] == ["number", "state", "validation.uar", RATE, "reason", "run"]
    assert [row[1] for row in shown["data"]] == ["COMPLETE", "PRUNED", "FAIL"]
    assert shown["data"][0] == [0, "COMPLETE", 0.75, pytest.approx(0.01), "", runs[0].id]
    assert shown["data"][2][4:] == ["its corpus is gone", ""]
    with Tracker(study, folder, frozen):
        pass
    assert len(segments(folder.path)) == 1, "told once"


def test_a_run_of_another_trial_is_left_alone_and_nothing_is_told_before_the_end(
    tiny: list[str], tmp_path: Path
) -> None:
    folder, frozen = study_of(tiny, tmp_path, "offline")
    study = open_study(folder, frozen)
    run = begun(frozen, 1)
    trial = study.ask()
    frozen.searched.suggest(trial)
    study.tell(trial, 0.5)
    with Tracker(study, folder, frozen) as tracker:
        tracker.ended(0, [run])
        tracker.ended(1, [run])
    assert not (run.path / "wandb").exists()
    assert not (folder.path / "wandb").exists()


def test_off_is_off(tiny: list[str], tmp_path: Path) -> None:
    folder, frozen = study_of(tiny, tmp_path, "off")
    study = open_study(folder, frozen)
    for _ in range(3):
        study.tell(study.ask(), 0.5)
    with Tracker(study, folder, frozen) as tracker:
        tracker.ended(0, [begun(frozen, 0)])
    assert not tracker.log.exists()
    assert not (folder.path / "tracked").exists()
