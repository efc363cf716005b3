"""What a process of a SLURM job concludes from its environment; the cluster's own part is in tests/slurm."""

import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ser_lightning.config.schema import Training
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.launcher import without_scheduler
from ser_lightning.processes.scheduler import LAST, POLL, RANKS, after_stop, allocation, own_process, task_of

JOB = {"SLURM_JOB_ID": "71", "SLURMD_NODENAME": "n2"}
STEP = JOB | {
    "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2", "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1", "SLURM_NODEID": "1", "SLURM_NTASKS": "4", "SLURM_RESTART_COUNT": "2",
}  # fmt: skip
ARRAY = JOB | {"SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "5"}


@pytest.fixture
def job(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, str]], None]]:
    """`job(variables)`: this process has these of SLURM's variables and no others."""

    def set_all(variables: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("SLURM")]:
            monkeypatch.delenv(name)
        for name in RANKS:
            monkeypatch.setenv(name, "")  # so that what is taken out of the environment comes back
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        allocation.cache_clear()

    yield set_all
    allocation.cache_clear()


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], Path]:
    """`scontrol(said, code)`: a scontrol that notes its words in the file returned, says `said` and ends."""

    def make(said: str, code: int) -> Path:
        program, noted = tmp_path / "scontrol", tmp_path / "noted"
        to = ">&2" if code else ""
        program.write_text(f'#!/bin/sh\necho "$@" >> {noted}\necho "{said}" {to}\nexit {code}\n')
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return noted

    return make


def test_outside_slurm_there_is_no_job(job: Callable[[dict[str, str]], None]) -> None:
    job({})
    assert allocation() is None
    assert task_of(Training()) is None


def test_a_rank_knows_its_place_and_its_environment_no_more(job: Callable[[dict[str, str]], None]) -> None:
    job(STEP)
    found = task_of(Training(devices=2, num_nodes=2))
    assert found is not None
    assert (found.rank, found.local_rank, found.node_rank, found.tasks, found.nodes) == (3, 1, 1, 4, 2)
    assert (found.restarts, found.host, found.name) == (2, "n2", "71")
    assert not [name for name in RANKS if name in os.environ]
    assert os.environ["SLURM_JOB_ID"] == "71"


def test_in_a_batch_script_there_are_no_ranks(job: Callable[[dict[str, str]], None]) -> None:
    job(ARRAY | {"SLURM_PROCID": "0", "SLURM_NTASKS": "4"})
    found = allocation()
    assert found is not None
    assert (found.tasks, found.step, found.name, found.job) == (1, "", "70_5", "71")
    assert task_of(Training(devices=2)) is None


@pytest.mark.parametrize(
    ("variables", "training", "remedy"),
    [
        (STEP, Training(), r"4 tasks on 2 nodes; write `#SBATCH --nodes=1` and `#SBATCH --ntasks-per-node=1`"),
        (STEP, Training(devices=4), "--ntasks-per-node=4"),
        (STEP, Training(devices=2, num_nodes=3), "#SBATCH --nodes=3"),
        (JOB, Training(devices=2, num_nodes=2), r"--ntasks-per-node=2` and `srun ser train"),
        ({}, Training(num_nodes=2), "srun ser train"),
    ],
)
def test_tasks_that_are_not_the_ranks_are_refused_with_the_line_to_change(
    job: Callable[[dict[str, str]], None], variables: dict[str, str], training: Training, remedy: str
) -> None:
    job(variables)
    with pytest.raises(UserError, match=remedy):
        task_of(training)


LEFT = {
    "RANK": "1", "LOCAL_RANK": "1", "GROUP_RANK": "1", "NODE_RANK": "2", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "nowhere", "MASTER_PORT": "1", "TORCHELASTIC_RUN_ID": "x", "JSM_NAMESPACE_RANK": "3",
    "PMI_RANK": "1", "PMIX_RANK": "1", "OMPI_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_RANK": "1",
    "PL_TRAINER_LIMIT_VAL_BATCHES": "1", "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_NTASKS": "4",
}  # fmt: skip


def test_what_launchers_left_makes_no_rank_of_a_process_nor_of_its_children(
    job: Callable[[dict[str, str]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lightning_utilities.core import rank_zero

    job(LEFT | {"RANKS_OF_MINE": "5", "OMP_NUM_THREADS": "1"})
    assert not LEFT.keys() & without_scheduler().keys()
    monkeypatch.setattr(
        rank_zero.rank_zero_only, "rank", 1, raising=False
    )  # as it has it where it was imported with these
    own_process()
    assert not LEFT.keys() & os.environ.keys()
    assert os.environ["RANKS_OF_MINE"] == "5" and os.environ["OMP_NUM_THREADS"] == "1"
    assert vars(rank_zero.rank_zero_only)["rank"] == 0
    assert task_of(Training()) is None


def test_a_step_of_srun_stays_one(job: Callable[[dict[str, str]], None]) -> None:
    job(STEP | {"RANK": "0", "WORLD_SIZE": "1"})
    own_process()
    found = allocation()
    assert found is not None and (found.rank, found.tasks) == (3, 4)


def stopped(number: int, progressed: bool = True, requeues: bool = True) -> StoppedError:
    error = StoppedError("a signal", 128 + number)
    error.progressed, error.requeues = progressed, requeues
    return error


@pytest.mark.parametrize(
    ("variables", "error", "asked"),
    [
        (ARRAY, stopped(signal.SIGUSR1), "requeue 70_5\n"),
        (ARRAY, stopped(signal.SIGUSR1, progressed=False), "requeue 70_5\n"),
        (STEP, stopped(signal.SIGUSR1), "requeue 71\n"),
        (STEP, stopped(signal.SIGUSR1, progressed=False), ""),
        (STEP, stopped(signal.SIGUSR1, requeues=False), ""),
        (JOB, stopped(signal.SIGINT), ""),
        (JOB, stopped(signal.SIGTERM), "show job --oneliner 71\n"),
        ({}, stopped(signal.SIGUSR1), ""),
    ],
)
def test_a_job_is_requeued_after_its_warning_only_and_while_it_gets_on(
    job: Callable[[dict[str, str]], None],
    scontrol: Callable[[str, int], Path],
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    error: StoppedError,
    asked: str,
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("ser_lightning.processes.scheduler.time.sleep", waits.append)
    noted = scontrol("JobState=COMPLETING PreemptTime=None", 0)
    job(variables)
    after_stop(error)
    assert (noted.read_text() if noted.exists() else "") == asked
    assert (LAST in waits) == (not error.requeues)  # whose end would be that of the process which asks


def test_the_end_of_a_requeued_job_does_not_cut_its_last_word(
    job: Callable[[dict[str, str]], None], scontrol: Callable[[str, int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    noted = scontrol("", 0)
    program = noted.with_name("scontrol")
    program.write_text(f"#!/bin/sh\nkill -TERM $PPID\necho asked > {noted}\n")
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        job(JOB)
        after_stop(stopped(signal.SIGUSR1))
        assert heard == []
        os.kill(os.getpid(), signal.SIGTERM)
        assert heard == [signal.SIGTERM]  # as before
    finally:
        signal.signal(signal.SIGTERM, before)
    assert noted.read_text() == "asked\n"
    assert "job 71 is requeued" in capsys.readouterr().err


def test_what_scontrol_refuses_is_said(
    job: Callable[[dict[str, str]], None], scontrol: Callable[[str, int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    scontrol("Requested operation is presently disabled", 1)
    job(JOB)
    after_stop(stopped(signal.SIGUSR1))
    assert "cannot be requeued (Requested operation is presently disabled)" in capsys.readouterr().err


def test_a_job_in_its_grace_time_waits_to_be_taken(
    job: Callable[[dict[str, str]], None], scontrol: Callable[[str, int], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = scontrol("JobState=RUNNING PreemptTime=2026-11-22T10:00:00", 0)
    job(JOB)
    waits: list[float] = []
    short = time.sleep

    def sleep(seconds: float) -> None:
        if seconds < POLL:  # subprocess's own
            short(seconds)
            return
        waits.append(seconds)
        if len(waits) == 3:
            scontrol("JobState=COMPLETING PreemptTime=2026-11-22T10:00:00", 0)

    monkeypatch.setattr("ser_lightning.processes.scheduler.time.sleep", sleep)
    after_stop(stopped(signal.SIGTERM))
    assert len(waits) == 3
    assert len(noted.read_text().splitlines()) == 5
