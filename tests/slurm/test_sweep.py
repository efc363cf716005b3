"""Workers of a job array on one study, while a node dies, a worker is cancelled and the controller restarts."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from optuna.study import Study
from optuna.trial import TrialState

from ser_lightning.sweeps.study import StudyFolder, open_study

from ..waiting import until
from .cluster import Cluster
from .configuration import NODES
from .jobs import resting, ser

TRIALS, WORKERS = 6, 4


def sweep_file(folder: Path, base: Sequence[str]) -> Path:
    tree = {
        "study": {
            "name": "tiny", "trials": TRIALS, "stale": 20.0,
            "sampler": {"name": "random", "seed": 0}, "pruner": {"name": "none"},
        },
        "base": list(base),
        "space": {
            "model.hidden_dim": {"int": [2, 12]}, "training.learning_rate": {"float": [0.001, 0.01], "log": True},
        },
    }  # fmt: skip
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


def study(folder: Path) -> Study:
    return open_study(StudyFolder(folder / "studies" / "tiny"))


def running(folder: Path) -> int:
    """Trials that run, each with a worker."""
    if not (folder / "studies" / "tiny" / "study.yaml").exists():
        return 0
    trials = study(folder).get_trials(states=(TrialState.RUNNING,))
    return sum("worker" in trial.user_attrs for trial in trials)


def test_a_study_outlives_its_cluster(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    base = [*resting(tiny, 30), "pictures=false"]
    path = sweep_file(tmp_path, base)
    array = ser(cluster, tmp_path, "--array=1-4", "--cpus-per-task=2", verb="sweep", words=[path.name])
    until(lambda: running(tmp_path) >= WORKERS, "a trial for each worker")
    cluster.cancel(f"{array}_1")
    cluster.restart_controller()
    assert {one["NodeList"] for one in cluster.jobs(array) if one["JobState"] == "RUNNING"} == set(NODES)
    cluster.kill_node("n2")
    records = cluster.wait(array)
    said = (tmp_path / "out").read_text()
    assert sorted(one["JobState"] for one in records) == ["CANCELLED", *["COMPLETED"] * (WORKERS - 1)], said
    assert {one["NodeList"] for one in records if one["Restarts"] == "1"} == {"n1"}
    trials = study(tmp_path).get_trials()
    assert [(one.number, one.state) for one in trials] == [(n, TrialState.COMPLETE) for n in range(TRIALS)], said
    assert any(one.user_attrs["adoptions"] for one in trials)
    assert len(list(tmp_path.glob("runs/*/result.json"))) == len({str(one.params) for one in trials})


@pytest.mark.slow  # in every run with ranks, in test_ddp.py
def test_workers_of_one_step_requeue_their_job_once(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    base = [*resting(tiny, 16), "pictures=false"]
    path = sweep_file(tmp_path, base)
    job = ser(cluster, tmp_path, "-n2", verb="sweep", words=[path.name, "study.trials=3"])
    until(lambda: running(tmp_path) >= 2, "a trial for each worker")
    cluster.signal(job, "USR1")
    cluster.wait_restarted(job)
    (record,) = cluster.wait(job)
    said = (tmp_path / "out").read_text()
    assert (record["JobState"], record["Restarts"]) == ("COMPLETED", "1"), said
    assert said.count(f"job {job} is requeued") == 1
    trials = study(tmp_path).get_trials()
    assert [(one.number, one.state) for one in trials] == [(n, TrialState.COMPLETE) for n in range(3)]
    assert not any(one.user_attrs["adoptions"] for one in trials)  # let go in order, which is no death
