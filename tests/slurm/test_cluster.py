"""The cluster does what the other tests here build on, each time as SLURM itself does it."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from ..proc import alive, carriers, users
from ..waiting import until
from . import hosts
from .client import RefusedError
from .cluster import Cluster, missing
from .configuration import GPUS, NODES

# Of SLURM and of this cluster alone; with `ser` in the job every run has the files beside this.
pytestmark = pytest.mark.slow

# A task that writes what happens to it to $LOG; the second run of its job ends at once.
TASK = """#!/bin/bash
say() { echo "$1 ${SLURM_RESTART_COUNT:-first} $SLURM_PROCID" >> "$LOG"; }
trap 'say USR1; exit' USR1
trap "say TERM; $THEN" TERM
say up
[ -n "$SLURM_RESTART_COUNT" ] && exit
for _ in {1..300}; do sleep 0.1; done
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def task(cluster: Cluster, tmp_path: Path, log: Path) -> Callable[..., str]:
    """`task(*options, tasks=1, then=...)`: the id of a job that runs, whose script has `srun` start TASK."""
    (tmp_path / "task").write_text(TASK)

    def submit(*options: str, tasks: int = 1, then: str = "exit") -> str:
        script = f"#!/bin/bash\nsrun bash {tmp_path}/task\n"
        job = cluster.submit("-o", tmp_path / "out", "--requeue", *options, text=script, LOG=str(log), THEN=then)
        until_lines(log, tasks)
        return job

    return submit


def until_lines(log: Path, count: int) -> list[str]:
    """The lines of `log`, sorted, once there are `count`."""
    until(lambda: log.exists() and len(log.read_text().splitlines()) >= count, f"{count} lines in {log}")
    return sorted(log.read_text().splitlines())


def test_a_script_runs_with_its_output_and_exit_code(cluster: Cluster, tmp_path: Path) -> None:
    good = cluster.submit("-o", tmp_path / "out-%j", "--wrap", "echo $SLURM_JOB_ID $((6 * 7))")
    bad = cluster.submit("-o", tmp_path / "out-%j", "--comment", "two words", "--wrap", "exit 3")
    good_record, bad_record = cluster.wait(good, bad)
    assert (good_record["JobState"], good_record["ExitCode"]) == ("COMPLETED", "0:0")
    assert (bad_record["JobState"], bad_record["ExitCode"], bad_record["Comment"]) == ("FAILED", "3:0", "two words")
    assert (tmp_path / f"out-{good}").read_text() == f"{good} 42\n"


def test_accounting_knows_how_jobs_ended(cluster: Cluster, tmp_path: Path) -> None:
    if not cluster.accounted:
        pytest.skip("SLURM's accounting is not installed (slurmdbd, mariadb-server-core, mariadb-client-core)")
    job = cluster.submit("-o", tmp_path / "out", "--wrap", "exit 3")
    cluster.wait(job)
    until(lambda: cluster.sacct(job, "State", "ExitCode") == [["FAILED", "3:0"]], "sacct")


def test_what_cannot_run_is_refused(cluster: Cluster) -> None:
    with pytest.raises(RefusedError, match="invalid partition"):
        cluster.submit("-p", "nowhere", "--wrap", "true")
    with pytest.raises(RefusedError, match="not available"):
        cluster.submit("-N1", f"--gres=gpu:{GPUS + 1}", "--wrap", "true")


def test_every_task_of_an_array_runs(cluster: Cluster, tmp_path: Path) -> None:
    job = cluster.submit("--array=0-5%3", "-o", tmp_path / "%A_%a", "--wrap", "echo $SLURM_ARRAY_TASK_ID")
    after = cluster.submit(f"--dependency=afterok:{job}", "-o", tmp_path / "after", "--wrap", f"cat {tmp_path}/{job}_*")
    assert [record["JobState"] for record in cluster.wait(job, after)] == ["COMPLETED"] * 7
    assert (tmp_path / "after").read_text() == "0\n1\n2\n3\n4\n5\n"


def test_srun_starts_two_tasks_on_each_of_two_nodes(cluster: Cluster, tmp_path: Path) -> None:
    echo = "srun bash -c 'echo $SLURMD_NODENAME $SLURM_LOCALID $SLURM_PROCID'"
    cluster.wait(cluster.submit("-N2", "--ntasks-per-node=2", "-o", tmp_path / "out", "--wrap", echo))
    assert sorted((tmp_path / "out").read_text().splitlines()) == ["n1 0 0", "n1 1 1", "n2 0 2", "n2 1 3"]
    assert [socket.gethostbyname(name) for name in NODES] == ["127.0.0.1", "127.0.0.1"]


def test_gpus_are_handed_out_one_by_one(cluster: Cluster, tmp_path: Path) -> None:
    hold = f"echo $CUDA_VISIBLE_DEVICES; until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    jobs = [cluster.submit("-w", "n1", "--gres=gpu:1", "-o", tmp_path / str(n), "--wrap", hold) for n in range(GPUS)]
    cluster.wait(*jobs, states=("RUNNING",))
    waits = cluster.submit("-w", "n1", "--gres=gpu:1", "-o", tmp_path / "waits", "--wrap", "true")
    assert sorted("".join(until_lines(tmp_path / str(n), 1)) for n in range(GPUS)) == ["0", "1"]
    until(lambda: cluster.job(waits)["Reason"] == "Resources", "a job that waits for a GPU")
    (tmp_path / "go").touch()
    cluster.wait(*jobs, waits)


def test_a_signal_reaches_every_task_and_not_the_script(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    job = task("-N2", "--ntasks-per-node=2", tasks=4)
    cluster.signal(job, "USR1")
    assert until_lines(log, 8)[:4] == [f"USR1 first {rank}" for rank in range(4)]
    assert cluster.wait(job)[0]["JobState"] == "COMPLETED"


def test_a_job_can_requeue_itself(cluster: Cluster, tmp_path: Path) -> None:
    script = (
        '#!/bin/bash\necho start:${SLURM_RESTART_COUNT-first}\n[ -n "$SLURM_RESTART_COUNT" ] && exit\n'
        "scontrol requeue ${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; sleep 30\n"
    )
    job = cluster.submit("--array=7", "--open-mode=append", "-o", tmp_path / "out", text=script)
    assert cluster.wait_restarted(f"{job}_7")["Restarts"] == "1"
    assert cluster.wait(job)[0]["JobState"] == "COMPLETED"
    # SLURM says something of its own there, too, with the job's number.
    said = (tmp_path / "out").read_text().split()
    assert [word for word in said if word.startswith("start:")] == ["start:first", "start:1"]


def test_cancelled_tasks_get_sigterm_and_time(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    job = task(then="sleep 1; say saved; exit")
    cluster.cancel(job)
    assert cluster.wait(job)[0]["JobState"] == "CANCELLED"
    assert "saved first 0" in log.read_text()


def test_the_job_of_a_dead_node_starts_again_on_another(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    job = task()
    first = cluster.job(job)["NodeList"]
    ran = carriers(f"LOG={log}", "SLURM_PROCID=0")
    cluster.kill_node(first)
    assert ran and not ran & alive().keys()
    assert {first, cluster.wait_restarted(job)["NodeList"]} == set(NODES)
    assert cluster.wait(job)[0]["JobState"] == "COMPLETED"
    assert until_lines(log, 2) == ["up 1 0", "up first 0"]
    cluster.start_nodes()
    assert cluster.wait(cluster.submit("-w", first, "-o", "/dev/null", "--wrap", "true"))[0]["JobState"] == "COMPLETED"


def test_jobs_outlive_a_restart_of_the_controller(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    job = task()
    waits = cluster.submit(f"--dependency=afterok:{job}", "-o", "/dev/null", "--wrap", "true")
    cluster.stop_controller()
    with pytest.raises(RefusedError, match="onnect"):
        cluster.job(job)
    cluster.start_controller()
    assert (cluster.job(job)["JobState"], cluster.job(job)["Restarts"]) == ("RUNNING", "0")
    cluster.signal(job, "USR1")
    assert [record["JobState"] for record in cluster.wait(job, waits)] == ["COMPLETED"] * 2
    assert until_lines(log, 2) == ["USR1 first 0", "up first 0"]


def pre_empt(cluster: Cluster, job: str) -> None:
    node = cluster.job(job)["NodeList"]
    cluster.submit("-p", "urgent", "--exclusive", "-w", node, "-o", "/dev/null", "--wrap", "true")


def test_a_pre_empted_job_gets_sigterm_and_starts_again(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    job = task(then="sleep 1; say saved; exit")
    pre_empt(cluster, job)
    cluster.wait_restarted(job)
    assert cluster.wait(job)[0]["JobState"] == "COMPLETED"
    lines = until_lines(log, 3)
    assert [line for line in lines if "TERM" not in line] == ["saved first 0", "up 1 0", "up first 0"]


def test_a_job_that_ends_in_its_grace_time_has_ended(cluster: Cluster, task: Callable[..., str], log: Path) -> None:
    ends = task("-p", "grace")
    pre_empt(cluster, ends)
    record = cluster.wait(ends)[0]
    assert (record["JobState"], record["Restarts"]) == ("COMPLETED", "0")
    log.unlink()
    stays = task("-p", "grace", then=":")
    pre_empt(cluster, stays)
    until_lines(log, 2)
    assert (cluster.job(stays)["JobState"], cluster.job(stays)["Restarts"]) == ("RUNNING", "0")
    cluster.wait_restarted(stays)


def test_a_small_disk_fills_for_jobs_too(cluster: Cluster, small_disk: Callable[[int], Path], tmp_path: Path) -> None:
    disk = small_disk(1)
    fill = f"head -c 3000000 /dev/zero > {disk}/file"
    cluster.wait(cluster.submit("-o", tmp_path / "out", "--wrap", fill))
    assert "No space left on device" in (tmp_path / "out").read_text()
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (disk / "other").write_bytes(bytes(2_000_000))


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_nothing_is_left_of_a_stopped_cluster() -> None:
    before = hosts.HOSTS.read_text().splitlines()
    with pytest.raises(KeyboardInterrupt), Cluster(accounted=False) as own:
        assert str(own.folder) in hosts.HOSTS.read_text()
        job = own.submit("-o", "/dev/null", "--wrap", "trap '' TERM; setsid sleep 60 & wait")
        own.wait(job, states=("RUNNING",))
        until(lambda: len(carriers(f"SLURM_CONF={own.settings}")) > 4, "processes of the job")
        raise KeyboardInterrupt
    assert not users(own.folder) | carriers(f"SLURM_CONF={own.settings}")
    assert not own.folder.exists()
    assert hosts.HOSTS.read_text().splitlines() == before
