"""Each script of slurm/, and what `ser submit` makes of them, on a real cluster, with a corpus that takes seconds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from ser_lightning.cli import main
from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.runs.folder import RunFolder
from ser_lightning.sweeps.study import StudyFolder, open_study

from .cluster import Cluster
from .test_ddp import digests

pytestmark = pytest.mark.xdist_group("second cluster")
ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
SMALL = "--cpus-per-task=1"
"""Nothing here is confined to its cores, and the machine has few."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to submit from: slurm/ copied there, and its one file edited."""
    shutil.copytree(ROOT / "slurm", tmp_path / "slurm")
    site = tmp_path / "slurm" / "site.sh"
    lines = site.read_text().splitlines()
    assert lines[-1] == ". .venv/bin/activate"
    site.write_text("\n".join([*lines[:-1], f'export PATH="{BIN}:$PATH"', ""]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def words(tiny: list[str]) -> list[str]:
    return [*tiny, "training.max_epochs=2", "training.accelerator=cpu", "pictures=false"]


@pytest.fixture
def folds(words: list[str]) -> list[str]:
    return [*(word for word in words if not word.startswith("split.")), "split=kfold", "split.k=3"]


@pytest.fixture
def sweep_file(place: Path, words: list[str]) -> Path:
    tree = {
        "study": {"trials": 3, "sampler": {"name": "random", "seed": 0}, "pruner": {"name": "none"}},
        "base": words,
        "space": {"model.hidden_dim": [2, 4, 8]},
    }
    path = place / "tiny.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.fixture
def here(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ser submit` in this process finds the cluster."""
    for name in [name for name in os.environ if name not in cluster.env]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SLURM_CONF", str(cluster.settings))


def said(place: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(place.rglob("ser-*.out")))


def completed(cluster: Cluster, place: Path, *jobs: str) -> None:
    records = cluster.wait(*jobs)
    assert {record["JobState"] for record in records} == {"COMPLETED"}, said(place)


def test_features_then_a_training(cluster: Cluster, place: Path, words: list[str]) -> None:
    words = [*words, f"cache_dir={place}/cache"]
    features = cluster.submit(SMALL, "slurm/features.sbatch", *words, cwd=place)
    after = f"--dependency=afterok:{features}"
    train = cluster.submit(SMALL, after, "slurm/train.sbatch", *words, cwd=place, SBATCH_EXPORT="NONE")
    completed(cluster, place, features, train)
    (run,) = (place / "runs").glob("*/result.json")
    assert RunFolder(run.parent).read_result()["extracted"] == {"mfcc": 0}
    assert "36 computed, 0 were there" in (place / f"ser-features-{features}.out").read_text()
    assert [cluster.job(job)["Requeue"] for job in (features, train)] == ["1", "1"]


@pytest.mark.slow
def test_one_training_over_two_nodes(cluster: Cluster, place: Path, words: list[str]) -> None:
    """Of two nodes times two ranks, as the script has them; all end with one model."""
    job = cluster.submit(SMALL, "slurm/ddp.sbatch", *words, cwd=place)
    completed(cluster, place, job)
    (run,) = (place / "runs").glob("*/result.json")
    logs = sorted((run.parent / "logs").glob("rank*"))
    assert [path.name for path in logs] == [f"rank{rank}.log" for rank in range(4)]
    assert len(set(digests(run.parent))) == 1


@pytest.mark.slow
def test_folds_and_the_job_that_gathers_them(cluster: Cluster, place: Path, folds: list[str]) -> None:
    job = cluster.submit(SMALL, "--array=0-2", "slurm/crossval.sbatch", *folds, cwd=place)
    after = [f"--dependency=afterany:{job}", "--kill-on-invalid-dep=yes", "--output=%x-%j.out"]
    gather = cluster.submit(SMALL, *after, "slurm/crossval.sbatch", *folds, cwd=place)
    completed(cluster, place, job, gather)
    (found,) = (place / "crossval").iterdir()
    assert CrossvalFolder(found).complete
    assert (place / f"ser-crossval-{job}_1.out").exists()


@pytest.mark.slow
def test_workers_of_an_array_share_a_study(cluster: Cluster, place: Path, sweep_file: Path) -> None:
    job = cluster.submit(SMALL, "--array=1-2", "slurm/sweep.sbatch", sweep_file.name, cwd=place)
    completed(cluster, place, job)
    study = open_study(StudyFolder(place / "studies" / "tiny"))
    assert [trial.state for trial in study.trials] == [optuna.trial.TrialState.COMPLETE] * 3


@pytest.mark.parametrize("ranks", [[], ["training.devices=2", "training.num_nodes=2"]])
def test_a_shown_training_is_one_that_slurm_takes(
    cluster: Cluster, place: Path, words: list[str], ranks: list[str]
) -> None:
    gpu = ["training.accelerator=cuda", "slurm.time=1:00:00", "slurm.options=[--comment=two words]"]
    text = shown("train", *words, *ranks, *gpu)
    assert cluster.run("sbatch", "--test-only", text=text, cwd=place) == ""
    job = cluster.submit("--hold", text=text, cwd=place)
    record = cluster.job(job)
    nodes = "2" if ranks else "1"
    assert record["NumNodes"].partition("-")[0] == nodes
    assert (record["TimeLimit"], record["Comment"], record["Requeue"]) == ("01:00:00", "two words", "1")
    assert record["TresPerNode"] == f"gres:gpu:{nodes}"  # as many ranks a node as nodes


def test_shown_folds_and_workers_are_what_slurm_takes(
    cluster: Cluster, place: Path, folds: list[str], sweep_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, tasks in (
        (["crossval", *folds, "slurm.at_once=1"], "0-2%1"),
        (["sweep", sweep_file.name, "slurm.workers=9"], "1-9"),
    ):
        assert main(["submit", *words, "--dry-run"]) == 0
        text = capsys.readouterr().out
        assert cluster.run("sbatch", "--test-only", text=text, cwd=place) == ""
        assert cluster.jobs(cluster.submit("--hold", text=text, cwd=place))[0]["ArrayTaskId"] == tasks


def shown(*words: str) -> str:
    """What `ser submit ... --dry-run` writes to a pipe."""
    command = [BIN / "ser", "submit", *words, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_submitted_training_is_trained(
    cluster: Cluster, here: None, place: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", "train", *words, "slurm.cpus_per_task=1"]) == 0
    job = capsys.readouterr().out.strip()
    completed(cluster, place, job)
    assert len(list((place / "runs").glob("*/result.json"))) == 1
    assert (place / "slurm_logs" / f"ser-train-{job}.out").exists()


def test_what_slurm_refuses_is_told(
    cluster: Cluster, here: None, place: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["submit", "train", *words, "slurm.partition=nowhere"]) == 1
    assert "invalid partition" in capsys.readouterr().err
    assert cluster.run("squeue", "-h") == ""
