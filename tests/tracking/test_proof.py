"""What whole jobs leave on a W&B server: which runs there are, how they belong together, and that nothing is twice."""

from pathlib import Path

import pytest
import yaml

from ser_lightning.config.compose import compose
from ser_lightning.crossval.crossval import crossval
from ser_lightning.crossval.settings import Settings
from ser_lightning.files import read_csv
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.train import train
from ser_lightning.sweeps.study import StudyFolder, open_study
from ser_lightning.sweeps.sweep import sweep
from ser_lightning.training.history import read_history

from .recorded import Run
from .recorder import Recorder

RATE = "training.learning_rate"


@pytest.fixture
def words(recorder: Recorder, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return [*tiny, "tracking.mode=online", "tracking.project=p", "pictures=false"]


def by_id(recorder: Recorder) -> dict[str, Run]:
    return {run.id: run for run in recorder.store.runs.values()}


def logged_once(run: Run, folder: RunFolder) -> None:
    """Every epoch of metrics.csv is in the history, once and under a step of its own; all of its files are there."""
    expected = read_history(folder.metrics)
    for name in ("train/loss", "validation/uar"):
        rows = [(row["epoch"], row[name]) for row in run.history if name in row]
        assert rows == [(row["epoch"], pytest.approx(row[name], abs=1e-6)) for row in expected]
    steps = [row["_step"] for row in run._rows("wandb-history.jsonl")]
    assert steps == list(range(len(steps)))
    assert (run.lost, run.step_metrics["*"]) == ([], "epoch")


def test_two_ranks_are_one_run(recorder: Recorder, words: list[str]) -> None:
    folder = train(compose([*words, "training.devices=2", "training.accelerator=cpu"]).config)
    run = recorder.store.only
    assert (run.id, run.job_type, run.group, run.config["training"]["devices"]) == (
        folder.attempt_id, "train", "default", 2,
    )  # fmt: skip
    logged_once(run, folder)
    assert run.exit_codes == [0], "the process that has the run tracks it, and no rank"
    assert run.summary["final/validation/uar"] == folder.read_result()["validation"]["uar"]


def test_folds_and_their_summary_are_one_group(recorder: Recorder, words: list[str], tmp_path: Path) -> None:
    words = [word for word in words if not word.startswith("split.")]
    config = compose([*words, "split=kfold", "split.k=3", "training.max_epochs=2"]).config
    folder = crossval(config, Settings(jobs=2, crossval_dir=str(tmp_path / "crossval")))
    runs = by_id(recorder)
    folds = [RunFolder(tmp_path / "runs" / row["run"]) for row in read_csv(folder.folds)]
    assert sorted(runs) == sorted([folder.attempt_id, *(fold.attempt_id for fold in folds)])
    assert {run.group for run in runs.values()} == {folder.id}
    assert runs[folder.attempt_id].job_type == "summary"
    for fold in folds:
        run = runs[fold.attempt_id]
        assert (run.job_type, run.config["split"]["k"], set(run.exit_codes)) == ("fold", 3, {0})
        logged_once(run, fold)
        assert run.summary["final/test/uar"] == fold.read_result()["test"]["uar"]
    summed = runs[folder.attempt_id]
    assert (summed.lost, summed.exit_codes) == ([], [0])
    assert summed.summary["figures"]["chosen on validation"]["uar"] == pytest.approx(
        folder.read_result()["figures"]["chosen on validation"]["uar"]
    )


def test_trials_that_ended_and_that_were_pruned_and_their_study_are_one_group(
    recorder: Recorder, words: list[str], tmp_path: Path
) -> None:
    epochs = [1, 400, 1, 1]
    start = [{"training.max_epochs": n, RATE: 0.01 + 0.001 * number} for number, n in enumerate(epochs)]
    tree = {
        "study": {"name": "s", "trials": 4, "pruner": {"name": "threshold", "lower": 1.5, "n_warmup_steps": 2}},
        "base": [*words, "training.patience=null"],
        "space": {"training.max_epochs": [1, 400], RATE: {"float": [1e-3, 1e-1]}},
        "start": start,
    }
    Path("s.yaml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    sweep(["s.yaml", "jobs=2"])
    folder, runs = StudyFolder(tmp_path / "studies" / "s"), by_id(recorder)
    (whole,) = [run for run in runs.values() if run.job_type == "summary"]
    assert (whole.group, whole.summary["trials"], whole.exit_codes) == ("s", {"COMPLETE": 3, "PRUNED": 1}, [0])
    trials = open_study(folder).trials
    assert len(runs) == 1 + len(trials) == 5
    for trial in trials:
        of = RunFolder(Path(trial.user_attrs["run"]))
        run = runs[of.attempt_id]
        assert (run.group, run.job_type, run.name) == ("s", "trial", f"s trial {trial.number}")
        assert run.summary["trial/state"] == trial.state.name
        assert run.config["training"]["learning_rate"] == pytest.approx(trial.params[RATE])
        assert run.lost == []
        logged_once(run, of)
    states = [trial.state.name for trial in trials]
    assert states == ["COMPLETE" if n == 1 else "PRUNED" for n in epochs]
