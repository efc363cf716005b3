"""A worker: real trainings as trials, each ended for what happened to it, and nothing done twice."""

import csv
import json
import re
import signal
from typing import Any

import pytest
from optuna.trial import TrialState

from ser_lightning.files import read_csv
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.pruning import folds_of
from ser_lightning.sweeps.sweep import sweep
from ser_lightning.sweeps.worker import TiredError

from ..waiting import until
from . import trials
from .plugin.erratic.model import OUTLASTING, UNLABELLED, UNMADE, UNSUITED, WIDE

stand = trials.stand

ONE = {trials.RATE: [0.01]}
MOODY = ["model.name=erratic", "model.dropout=0.0"]
NONE = {"name": "none"}


def states(study: Any) -> list[str]:
    return [trial.state.name for trial in study.trials]


def test_a_hopeless_trial_is_stopped_in_its_training(stand: Any) -> None:
    pruner = {"name": "threshold", "lower": 1.5, "n_warmup_steps": 2}  # no UAR is above 1
    study = stand.sweep(ONE, "training.max_epochs=500", "training.patience=null", study={"trials": 1, "pruner": pruner})
    (trial,) = study.trials
    last = max(trial.intermediate_values)
    assert (trial.state, trial.user_attrs["reason"]) == (
        TrialState.PRUNED, f"pruned by threshold after epoch {last}",
    )  # fmt: skip
    run = trials.run_of(trial)
    rows = read_csv(run.metrics)
    assert last >= 2 and len(rows) < 500 and not run.finished
    assert [path.name for path in run.checkpoints.iterdir()] == ["best.ckpt"], "no optimiser's state is left"
    assert trial.intermediate_values == {
        int(row["epoch"]): pytest.approx(float(row["validation/uar"])) for row in rows[: last + 1]
    }


def test_a_model_above_the_budget_is_never_trained(stand: Any) -> None:
    space = {"model.hidden_dim": [4, 64]}
    start = [{"model.hidden_dim": 64}, {"model.hidden_dim": 4}]
    study = stand.sweep(space, study={"trials": 2}, constraints={"parameters": 5000}, start=start)
    assert states(study) == ["PRUNED", "COMPLETE"]
    (run,) = (RunFolder(path.parent) for path in stand.folder.glob("runs/*/config.yaml"))
    assert (run.read_config().model["hidden_dim"], run.read_result()["parameters"] <= 5000) == (4, True)
    assert "parameters, more than 5,000" in study.trials[0].user_attrs["reason"]
    assert study.best_trial.number == 1


def test_trials_with_the_same_values_are_one_run(stand: Any) -> None:
    stand.write(ONE, study={"trials": 4, "pruner": NONE, "stale": 6.0})
    for process in [stand.process("sweep", "s.yaml", "jobs=2") for _ in range(2)]:
        assert process.wait() == 0, process.said
    study = stand.study()
    assert states(study) == ["COMPLETE"] * 4
    assert len({trial.user_attrs["run"] for trial in study.trials}) == 1
    run = trials.run_of(study.trials[0])
    assert {trial.value for trial in study.trials} == {run.read_result()["validation"]["uar"]}
    assert [int(row["epoch"]) for row in read_csv(run.metrics)] == [0, 1, 2]
    # `begin` counts how often a new folder was made; each training says once what it trains.
    assert run.attempt_id == f"{run.id}-1"
    said = {number: run.trial_log(number).read_text() for number in range(4)}
    assert sum(text.count("parameters, on cpu") for text in said.values()) == 1
    assert all(text.count("--- begun: ") == 1 for text in said.values()), "each has a log of its own"


def test_a_second_sweep_over_the_same_resolutions_extracts_nothing(stand: Any) -> None:
    stand.words = [word for word in stand.words if not word.startswith("cache_dir=")]
    windows = [{"window": 400, "hop": 160}, {"window": 512, "hop": 256}]
    space = {"features.mfcc": windows, trials.RATE: [0.01, 0.02]}
    sampler = {"name": "brute_force", "seed": 0}
    own = [f"cache_dir={stand.folder / 'cache'}", "training.max_epochs=1"]
    settings = {"trials": 4, "pruner": NONE, "sampler": sampler}
    study = stand.sweep(space, *own, study=settings)
    assert states(study) == ["COMPLETE"] * 4
    extracted = [trials.run_of(trial).read_result()["extracted"]["mfcc"] for trial in study.trials]
    # 36 utterances, less the six of the test speaker.
    assert sorted(extracted) == [0, 0, 30, 30]
    before = {path: path.stat().st_ino for path in stand.folder.glob("cache/features/**/*.safetensors")}
    stand.write({"features.mfcc": windows}, *own, "seed=1", study=settings | {"name": "second", "trials": 2})
    sweep(["s.yaml"])
    results = [json.loads(path.read_text()) for path in stand.folder.glob("runs/*/result.json")]
    assert len(results) == 6
    assert sorted(result["extracted"]["mfcc"] for result in results) == [0] * 4 + [30, 30]
    after = {path: path.stat().st_ino for path in stand.folder.glob("cache/features/**/*.safetensors")}
    assert before == after and before


def test_failures_in_a_row_end_the_sweep_with_their_reason(stand: Any) -> None:
    space = {"model.mood": [2.0], trials.RATE: trials.RATES}
    settings = {"trials": 5, "failures": 2, "pruner": NONE}
    with pytest.raises(TiredError, match=r"2 trials in a row ended with: loss is not finite; mend that"):
        stand.sweep(space, *MOODY, study=settings)
    assert states(stand.study()) == ["FAIL", "FAIL", "WAITING", "WAITING", "WAITING"]
    assert "lower training.learning_rate" in stand.study().trials[0].user_attrs["log_end"]


def moody(stand: Any, moods: list[tuple[float, int]], **study: Any) -> None:
    """Write a sweep whose trials begin with these moods and widths, one after the other, in their order."""
    space = {"model.mood": {"float": [-9.0, 0.0]}, "model.hidden_dim": {"int": [1, 8]}, trials.RATE: trials.RATES}
    start = [{"model.mood": mood, "model.hidden_dim": width} for mood, width in moods]
    constraints = {"parameters": 5000} if moods[0][0] in (UNSUITED, UNMADE) else {}
    own = [*MOODY, f"model.notes={stand.folder}", "training.max_epochs=60", "training.patience=null"]
    settings = {"trials": len(moods), "pruner": NONE} | study
    stand.write(space, *own, study=settings, start=start, constraints=constraints)


def test_trials_that_fail_before_they_begin_fail_for_one_reason(stand: Any) -> None:
    moody(stand, [(UNSUITED, width) for width in (3, 4, 5, 6)], failures=2)
    with pytest.raises(TiredError, match=r"2 trials in a row ended with: model\.hidden_dim=4 does not go"):
        sweep(["s.yaml"])
    assert states(stand.study()) == ["FAIL", "FAIL", "WAITING", "WAITING"]


def test_an_exception_is_told_by_its_words_and_different_ones_are_not_one_reason(stand: Any) -> None:
    moods = [(WIDE, 1), (WIDE, 2), (UNLABELLED, 1), (UNLABELLED, 2)]
    moody(stand, moods, failures=3)
    sweep(["s.yaml"])
    assert [trial.user_attrs["reason"] for trial in stand.study().trials] == [
        "failed (exit code 1): width 1 at /runs/1",
        "failed (exit code 1): width 2 at /runs/2",
        "failed (exit code 1): 'label'",
        "failed (exit code 1): 'label'",
    ]
    moody(stand, moods, failures=2, name="tired")
    with pytest.raises(TiredError, match=r"2 trials in a row ended with.*width 2"):
        sweep(["s.yaml"])


def test_what_ends_well_beside_a_row_of_failures_does_not_undo_it(stand: Any) -> None:
    """The first trial outlasts the two that fail; nobody begins the fourth, and that is said."""
    moody(stand, [(OUTLASTING, 1), (UNLABELLED, 2), (UNLABELLED, 3), (UNLABELLED, 4)], failures=2)
    with pytest.raises(TiredError, match=r"2 trials in a row ended with.*'label'"):
        sweep(["s.yaml", "jobs=2"])
    assert states(stand.study()) == ["COMPLETE", "FAIL", "FAIL", "WAITING"]


def test_a_model_that_cannot_be_made_is_its_trial_s_end_alone(stand: Any) -> None:
    moody(stand, [(UNMADE, 1), (UNMADE, 2)])
    sweep(["s.yaml"])
    study = stand.study()
    assert states(study) == ["FAIL", "FAIL"]
    assert study.trials[0].user_attrs["reason"].startswith("the model cannot be made: RuntimeError: no")


def test_too_little_memory_is_one_reason_however_much_was_held(stand: Any) -> None:
    settings = {"trials": 4, "failures": 2, "memory": 10, "pruner": NONE}
    with pytest.raises(TiredError, match=r"2 trials in a row ended with: out of memory \(.*study.memory=10"):
        stand.sweep({trials.RATE: trials.RATES}, "training.max_epochs=500", "training.patience=null", study=settings)
    assert states(stand.study()) == ["FAIL", "FAIL", "WAITING", "WAITING"]


def test_what_ctrl_c_interrupts_goes_on_with_the_next_start(stand: Any) -> None:
    stand.write(
        {trials.RATE: trials.RATES},
        "training.max_epochs=40",
        "training.patience=null",
        study={"trials": 1, "pruner": NONE},
    )
    process = stand.process("sweep", "s.yaml")
    metrics = until(lambda: list(stand.folder.glob("runs/*/metrics.csv")), "an epoch")[0]
    process.send_signal(signal.SIGINT)
    assert process.wait() == 130, process.said
    assert "stopped by SIGINT" in process.said
    (before,) = stand.study().trials
    assert before.state == TrialState.RUNNING
    rows = metrics.read_text().splitlines()
    assert len(rows) < 41
    sweep(["s.yaml"])
    (after,) = stand.study().trials
    assert (after.state, after.params, after.user_attrs["adoptions"]) == (TrialState.COMPLETE, before.params, 0)
    assert sorted(after.intermediate_values) == list(range(40))
    assert metrics.read_text().splitlines()[:2] == rows[:2], "its first epoch was not trained again"


def test_a_cross_validated_trial_is_the_mean_of_its_folds_and_never_sees_a_test_part(stand: Any) -> None:
    stand.words = [word for word in stand.words if not word.startswith("split.")]
    space = {trials.RATE: trials.RATES}
    settings = {"trials": 2, "crossval": {"folds": None}, "pruner": NONE}
    study = stand.sweep(space, "split=kfold", "split.k=3", "training.max_epochs=1", study=settings)
    assert states(study) == ["COMPLETE"] * 2, "nothing prunes where that was switched off"
    runs = {path.parent.name: RunFolder(path.parent) for path in stand.folder.glob("runs/*/config.yaml")}
    for trial in study.trials:
        mine = [run for run in runs.values() if run.read_config().training.learning_rate == trial.params[trials.RATE]]
        by_fold = {run.read_config().split["fold"]: run.read_result()["validation"]["uar"] for run in mine}
        assert trial.value == pytest.approx(sum(by_fold.values()) / 3)
        scores = folds_of(trial).intermediate_values
        assert scores == {fold: pytest.approx(by_fold[fold]) for fold in range(3)}
    for run in runs.values():
        with run.predictions.open(newline="") as source:
            assert {row["part"] for row in csv.DictReader(source)} == {"validation"}
    written = [path.name for path in stand.folder.rglob("*")]
    assert not [name for name in written if "vault" in name or "test" in name]


def test_a_cross_validated_trial_is_pruned_within_its_first_fold(stand: Any) -> None:
    stand.words = [word for word in stand.words if not word.startswith("split.")]
    pruner = {"name": "threshold", "lower": 1.5, "n_warmup_steps": 1}
    settings = {"trials": 1, "crossval": {"folds": None}, "pruner": pruner}
    own = ["split=kfold", "split.k=3", "training.max_epochs=500", "training.patience=null"]
    (trial,) = stand.sweep(ONE, *own, study=settings).trials
    assert (trial.state, folds_of(trial).intermediate_values) == (TrialState.PRUNED, {})
    assert re.fullmatch(r"pruned by threshold after epoch \d+ of the first fold", trial.user_attrs["reason"])
    (run,) = stand.folder.glob("runs/*/config.yaml")
    assert RunFolder(run.parent).read_config().split["fold"] == 0


def test_several_objectives_have_a_front(stand: Any) -> None:
    space = {"model.hidden_dim": [2, 8, 32], trials.RATE: [0.003]}
    settings = {
        "trials": 3,
        "sampler": {"name": "brute_force", "seed": 0},
        "objectives": {"validation.uar": "maximize", "parameters": "minimize"},
        "pruner": NONE,
    }
    study = stand.sweep(space, study=settings)
    assert states(study) == ["COMPLETE"] * 3
    points = {}
    for trial in study.trials:
        result = trials.run_of(trial).read_result()
        points[trial.number] = (result["validation"]["uar"], -result["parameters"])
        assert trial.values == [result["validation"]["uar"], result["parameters"]]
    front = [
        number
        for number, point in points.items()
        if not any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in points.values())
    ]
    assert sorted(trial.number for trial in study.best_trials) == sorted(front)
    assert len({-parameters for _, parameters in points.values()}) == 3
