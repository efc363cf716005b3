"""How jobs end on a cluster: pre-empted, cancelled, out of time, out of disk; and how they go on."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ser_lightning.training.history import read_history

from ..waiting import until
from .cluster import Cluster
from .jobs import resting, ser, words

EPOCHS = 30


def epochs(folder: Path) -> list[float | None]:
    (metrics,) = folder.glob("runs/*/metrics.csv")
    return [row["epoch"] for row in read_history(metrics)]


def training(cluster: Cluster, folder: Path, tiny: list[str], *options: str, tracking: str = "off") -> str:
    """A job that trains, after its first epochs."""
    given = [*resting(tiny, EPOCHS), f"tracking.mode={tracking}"]
    job = ser(cluster, folder, *options, verb="train", words=given)
    until(lambda: bool(list(folder.glob("runs/*/metrics.csv"))), "a first epoch")
    return job


def pre_empt(cluster: Cluster, job: str) -> None:
    node = cluster.job(job)["NodeList"]
    cluster.submit("-p", "urgent", "--exclusive", "-w", node, "-o", "/dev/null", "--wrap", "true")


def goes_on(cluster: Cluster, folder: Path, job: str) -> None:
    before = len(epochs(folder))
    cluster.wait_restarted(job)
    (record,) = cluster.wait(job)
    said = (folder / "out").read_text()
    assert (record["JobState"], record["Restarts"]) == ("COMPLETED", "1"), said
    assert epochs(folder) == list(range(EPOCHS)), said
    assert 0 < before < EPOCHS
    assert "is requeued" not in said  # by itself: SLURM does it


@pytest.mark.slow  # in every run with a grace time, which is harder
def test_a_pre_empted_training_goes_on(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    job = training(cluster, tmp_path, tiny)
    pre_empt(cluster, job)
    goes_on(cluster, tmp_path, job)


def test_in_its_grace_time_a_training_waits_to_be_requeued(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    job = training(cluster, tmp_path, tiny, "-p", "grace", tracking="offline")  # wandb's process ends with the signal
    pre_empt(cluster, job)
    goes_on(cluster, tmp_path, job)
    assert f"job {job} is pre-empted" in (tmp_path / "out").read_text()


def test_what_was_cancelled_stays_cancelled(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    job = training(cluster, tmp_path, tiny)
    cluster.cancel(job)
    (record,) = cluster.wait(job)
    assert (record["JobState"], record["Restarts"]) == ("CANCELLED", "0")
    log = next(tmp_path.glob("runs/*/run.log"))
    until(lambda: "stopped by SIGTERM" in log.read_text(), "the end of the training")
    assert list(tmp_path.glob("runs/*/checkpoints/last.ckpt"))


def test_a_full_disk_is_named_and_room_on_it_is_all_it_takes(
    cluster: Cluster, small_disk: Callable[[int], Path], tmp_path: Path, tiny: list[str]
) -> None:
    disk = small_disk(2)
    (disk / "filler").write_bytes(bytes(1_990_000))
    given = [*words(tiny), f"runs_dir={disk}/runs"]
    first = ser(cluster, tmp_path, verb="train", words=given)
    assert cluster.wait(first)[0]["JobState"] == "FAILED"
    said = (tmp_path / "out").read_text()
    assert "No space left on device" in said
    assert "Traceback" not in said
    (disk / "filler").unlink()
    second = ser(cluster, tmp_path, verb="train", words=given)
    assert cluster.wait(second)[0]["JobState"] == "COMPLETED", (tmp_path / "out").read_text()
    assert len(list(disk.glob("runs/*/result.json"))) == 1


def test_tasks_that_are_not_the_ranks_are_refused_at_once(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    job = ser(cluster, tmp_path, "-n2", verb="train", words=words(tiny))
    assert cluster.wait(job)[0]["JobState"] == "FAILED"
    assert "write `#SBATCH --nodes=1` and `#SBATCH --ntasks-per-node=1`" in (tmp_path / "out").read_text()
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.timeout(1600)
def test_a_true_time_limit_is_outlived(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    """Warned half a minute before its two are over, no job gets through 100 epochs of a second; all get a minute's."""
    given = [*words(tiny), "training.max_epochs=100", "training.batch_size=64"]
    job = slowly(cluster, tmp_path, given, 1, "--time=2", "--signal=USR1@30")
    (record,) = cluster.wait(job, timeout=1500)
    assert record["JobState"] == "COMPLETED", (tmp_path / "out").read_text()
    assert int(record["Restarts"]) >= 1
    assert epochs(tmp_path) == list(range(100))


@pytest.mark.slow
def test_without_progress_a_job_stops_and_says_so(cluster: Cluster, tmp_path: Path, tiny: list[str]) -> None:
    given = [*words(tiny), "training.max_epochs=2", "training.batch_size=1"]
    job = slowly(cluster, tmp_path, given, 10)  # 24 steps an epoch, which no signal comes too late for
    for restarts in (1, 2):
        until(lambda: len(list(tmp_path.glob("runs/*/run.log"))) > 0, "a start")
        until(lambda n=restarts: (tmp_path / "out").read_text().count("parameters, on") == n, "a start")
        cluster.signal(job, "USR1")
        if restarts == 1:
            cluster.wait_restarted(job)
    (record,) = cluster.wait(job)
    assert (record["JobState"], record["Restarts"]) == ("FAILED", "1")
    assert "finished no epoch since then: it is not requeued" in (tmp_path / "out").read_text()


SLOWLY = """
import sys, time
from ser_lightning.cli import main
from ser_lightning.training.module import SERModule

step = SERModule.training_step
SERModule.training_step = lambda *a, **k: (time.sleep({rest}), step(*a, **k))[1]
sys.exit(main())
"""


def slowly(cluster: Cluster, folder: Path, given: list[str], rest: int, *options: str) -> str:
    """A job that trains, and rests for so many seconds before each step."""
    command = [sys.executable, "-c", SLOWLY.format(rest=rest), "train", *given]
    script = folder / "script"
    script.write_text(f"#!/bin/bash\nexport OMP_NUM_THREADS=1\nsrun {shlex.join(command)}\n")
    return cluster.submit("--requeue", "--open-mode=append", "-o", folder / "out", "-D", folder, *options, script)
