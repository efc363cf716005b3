"""Claims: every trial is had by one worker at a time, and what a dead one left is taken up under its number."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from optuna.trial import TrialState

from ser_lightning.errors import UserError
from ser_lightning.processes import queue
from ser_lightning.processes.identity import ProcessIdentity, place, process_start
from ser_lightning.sweeps import lease
from ser_lightning.sweeps.claims import Claims
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.study import StudyFolder, open_study

from ..waiting import until

RATE = "training.learning_rate"
CLAIMER = Path(__file__).with_name("claimer.py")
Small = Callable[..., Frozen]
Join = Callable[..., Claims]
Process = subprocess.Popen[str]
HERE = ProcessIdentity.here()
FAR = replace(HERE, host="node7", place="node7/boot/1")
"""A worker on another host."""


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return StudyFolder(tmp_path / "studies" / "small")


@pytest.fixture
def join(folder: StudyFolder, small: Small) -> Join:
    """`join(who, **settings)`: another worker's claims, in this process."""

    def joined(who: ProcessIdentity = HERE, **settings: object) -> Claims:
        frozen = small(**{"trials": 2} | settings)
        return Claims(open_study(folder, frozen, changed=True), folder, frozen.study, who)

    return joined


@pytest.fixture
def worker(folder: StudyFolder) -> Iterator[Callable[[str], Process]]:
    started: list[Process] = []

    def start(what: str) -> Process:
        command = [sys.executable, str(CLAIMER), str(folder.path), what]
        started.append(subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def together(processes: list[Process]) -> list[list[str]]:
    """What workers said that begin at the same time and work until nothing is left."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    lines = []
    for process in processes:
        out, errors = process.communicate()
        assert process.returncode == 0, errors
        lines += [line.split() for line in out.splitlines()]
    return lines


def killed(process: Process) -> int:
    """The number of the trial that a hanging worker took before it is killed; its zombie is left."""
    assert process.stdout is not None
    number = int(process.stdout.readline())
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: process_start(process.pid) is None, "an end of the worker")
    return number


def gone(who: ProcessIdentity = HERE) -> ProcessIdentity:
    """An identity whose process has ended: a number that is in use, by a process that started at another time."""
    return replace(who, started="1")


@pytest.fixture
def proxy() -> Iterator[str]:
    """Optuna's gRPC proxy over a storage in memory, in a process of its own."""
    pytest.importorskip("grpc")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    code = "import optuna.storages as s, sys; s.run_grpc_proxy_server(s.InMemoryStorage(), port=int(sys.argv[1]))"
    server = subprocess.Popen([sys.executable, "-c", code, str(port)], stderr=subprocess.DEVNULL)
    yield f"grpc://127.0.0.1:{port}"
    server.kill()
    server.wait()


@pytest.mark.parametrize(
    "storage", ["journal", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sqlite", "postgres", "proxy"))]
)
def test_four_workers_take_each_trial_once(
    storage: str, folder: StudyFolder, small: Small, worker: Callable[[str], Process], request: pytest.FixtureRequest
) -> None:
    url = None if storage == "journal" else f"sqlite:///{folder.path.parent}/trials.db"
    if storage in ("postgres", "proxy"):
        url = request.getfixturevalue(storage)
    folder.path.parent.mkdir()
    open_study(folder, small(16, [{RATE: 0.002}], storage=url, name=f"small-{storage}"))
    lines = together([worker("work") for _ in range(4)])
    assert all(line[2:] == ["False", "True"] for line in lines)
    assert sorted(int(line[0]) for line in lines) == list(range(16))
    assert len({line[1] for line in lines}) > 1
    trials = open_study(folder).trials
    assert [(trial.number, trial.state) for trial in trials] == [(i, TrialState.COMPLETE) for i in range(16)]
    assert trials[0].params == {RATE: 0.002}
    assert len({trial.params[RATE] for trial in trials}) == 16


def test_workers_go_on_with_trials_that_were_added(join: Join) -> None:
    early = join(trials=2)
    assert [claimed.number for claimed in (early.claim(), early.claim()) if claimed] == [0, 1]
    assert early.claim() is None
    join(trials=3)
    claimed = early.claim()
    assert claimed is not None
    assert claimed.number == 2
    assert early.claim() is None
    assert len(early.study.trials) == 3


def test_a_killed_workers_trial_is_taken_up_under_its_number(
    folder: StudyFolder, small: Small, worker: Callable[[str], Process]
) -> None:
    open_study(folder, small(3))
    number = killed(worker("hang"))
    begun = open_study(folder).trials[number]
    assert begun.state == TrialState.RUNNING
    lines = together([worker("work")])
    assert sorted((int(line[0]), line[2]) for line in lines) == [(0, "True"), (1, "False"), (2, "False")]
    trials = open_study(folder).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 3
    assert trials[number].params == begun.params
    assert trials[number].user_attrs["adoptions"] == 1
    assert trials[number].user_attrs["run"] == str(folder.path / "runs" / str(number))


def test_of_many_who_reach_for_a_dead_workers_trial_one_gets_it(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    assert join(gone(), trials=1).claim() is not None
    adopters = [join(trials=1) for _ in range(8)]
    barrier, judged = threading.Barrier(8), lease.Leases.liveness

    def all_at_once(*arguments: Any) -> lease.Liveness:
        verdict = judged(*arguments)
        barrier.wait()
        return verdict

    monkeypatch.setattr(lease.Leases, "liveness", all_at_once)
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(lambda claims: claims.claim(), adopters))
    assert [one.number for one in claimed if one] == [0]
    assert sum(claims.owns(0) for claims in adopters) == 1


def test_a_worker_that_was_believed_dead_lets_go(join: Join, tmp_path: Path) -> None:
    slow, run = join(gone(), trials=1), tmp_path / "run"
    first = slow.claim()
    assert first is not None
    run.mkdir()
    slow.started(0, run)
    assert slow.owns(0)
    assert slow.beat() == []
    other = join(trials=1)
    second = other.claim()
    assert second is not None
    assert (second.number, second.adopted, second.run) == (0, True, run)
    other.beat()
    assert slow.beat() == [0]
    assert not slow.owns(0)
    assert json.loads((run / "heartbeat").read_text())["started"] == HERE.started
    assert slow.finish(first, TrialState.FAIL, reason="killed") is False
    assert other.finish(second, TrialState.COMPLETE, [0.7]) is True
    assert other.finish(second, TrialState.FAIL) is False
    assert other.study.trials[0].values == [0.7]
    assert "reason" not in other.study.trials[0].user_attrs


def test_a_trial_that_somebody_finished_meanwhile_is_left(join: Join) -> None:
    claims = join(trials=1)
    claimed = claims.claim()
    assert claimed is not None
    claims.study.tell(0, 0.9)
    assert claims.finish(claimed, TrialState.FAIL, reason="out of memory") is False
    assert claims.study.trials[0].state == TrialState.COMPLETE
    with pytest.raises(ValueError, match="values"):
        again = join(trials=2)
        other = again.claim()
        assert other is not None
        again.finish(other, TrialState.COMPLETE, [0.1, 0.2])


def test_a_trial_that_kills_its_workers_fails_in_the_end(join: Join) -> None:
    for deaths in range(3):
        claimed = join(gone(), trials=1, adoptions=2).claim()
        assert claimed is not None
        assert claimed.trial.user_attrs["adoptions"] == deaths
    claims = join(trials=1, adoptions=2)
    assert claims.claim() is None
    trial = claims.study.trials[0]
    assert trial.state == TrialState.FAIL
    assert trial.user_attrs["reason"] == "its worker died 3 times"


def test_letting_go_is_no_death(join: Join) -> None:
    for _ in range(4):
        claims = join(trials=1, adoptions=1)
        claimed = claims.claim()
        assert claimed is not None
        claimed.trial.suggest_float(RATE, 1e-4, 1e-2, log=True)
        assert claims.held == [0]
        claims.leave(0)
        assert claims.held == []
    assert claimed.trial.user_attrs["adoptions"] == 0


def test_a_worker_that_lives_is_left_alone_and_a_reused_number_is_no_life(join: Join) -> None:
    join(trials=1).claim()
    other = join(trials=1)
    assert other.claim() is None
    assert other.liveness(other.study.trials[0]) == "alive"
    taken = replace(HERE, pid=1)
    assert process_start(taken.pid) is not None
    assert not taken.running
    assert not replace(HERE, pid=2**22 + 1).running
    assert HERE.running


def test_a_name_with_brackets_does_not_hide_when_a_process_began(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (b"
    program.symlink_to("/bin/sleep")
    process = subprocess.Popen([str(program), "30"])
    try:
        own, started = process_start(os.getpid()), process_start(process.pid)
        assert own is not None and started is not None
        assert int(started) >= int(own)
    finally:
        process.kill()
        process.wait()
    assert process_start(process.pid) is None


def test_on_another_host_the_heartbeat_decides(join: Join, tmp_path: Path) -> None:
    far, run = join(FAR, trials=1, stale=1.0), tmp_path / "run"
    assert far.claim() is not None
    run.mkdir()
    far.started(0, run)
    near = join(trials=1, stale=1.0)
    (trial,) = near.study.trials
    assert near.liveness(trial) == "alive"
    assert near.claim() is None
    long_ago = time.time() - 5
    for path in (run / "heartbeat", *near.leases.folder.glob("0.*")):
        assert near.liveness(trial) == "alive"
        os.utime(path, (long_ago, long_ago))
    assert near.liveness(trial) == "dead"
    far.beat()
    assert near.liveness(trial) == "alive"
    assert json.loads((run / "heartbeat").read_text()) == {
        "host": "node7",
        "place": "node7/boot/1",
        "pid": os.getpid(),
        "started": HERE.started,
        "job": FAR.job,
        "study": "small",
        "number": 0,
        "slurm_job": FAR.job,
    }


def test_a_machine_that_was_booted_again_is_another(join: Join) -> None:
    before = replace(HERE, place=place().replace("pid:", "pid:1"))
    claims = join(before, trials=1, stale=60.0)
    claims.claim()
    last, seen = claims.leases.read(0, 0), lease.Leases(claims.leases.folder, HERE, 60.0)
    assert seen.turns() == {0: 0}
    assert seen.liveness(last, None) == "alive"
    os.utime(last.path, (time.time() - 90,) * 2)
    assert seen.liveness(last, None) == "dead"


def test_an_owner_who_was_killed_before_writing_its_name_is_dead_in_time(join: Join) -> None:
    claims = join(trials=1, stale=60.0)
    (path := claims.leases.folder).mkdir(parents=True, exist_ok=True)
    (path / "0.0").touch()
    assert claims.claim() is None
    os.utime(path / "0.0", (time.time() - 90,) * 2)
    claimed = claims.claim()
    assert claimed is not None
    assert claimed.number == 0


SQUEUE = """#!/bin/sh
echo "$@" >> {folder}/asked
{answer}
"""


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """`squeue(script)`: what the scheduler's command does from now on."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def answers(answer: str) -> None:
        (folder / "squeue").write_text(SQUEUE.format(folder=folder, answer=answer), encoding="utf-8")
        (folder / "squeue").chmod(0o755)
        monkeypatch.setattr(lease, "_queue", queue.Queue())

    return answers


def test_a_trial_whose_job_is_queued_is_not_dead(
    join: Join, squeue: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    job = replace(gone(), job="4711")
    assert join(job, trials=1).claim() is not None
    near = join(trials=1)
    (trial,) = near.study.trials
    for answer, liveness in [
        ("echo 4711 PENDING", "queued"),
        ("echo 4711 REQUEUED", "queued"),
        ("echo 4710 PENDING; echo 4711 RUNNING; echo 4712 PENDING", "dead"),  # of an array all tasks are told
        ("exit 0", "dead"),
        ("echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1", "dead"),
        ("echo 'Unable to contact slurm controller' >&2; exit 1", "queued"),
        ("exec sleep 60", "queued"),
    ]:
        if "sleep" in answer:
            monkeypatch.setattr(queue, "SECONDS", 0.2)
        squeue(answer)
        assert near.liveness(trial) == liveness, answer
    assert "--jobs=4711" in (tmp_path / "bin" / "asked").read_text()
    squeue("echo 4711 PENDING")
    assert near.claim() is None
    again = join(replace(HERE, job="4711"), trials=1)  # the same job, started again
    claimed = again.claim()
    assert claimed is not None
    assert claimed.adopted


def test_a_job_that_is_requeued_finds_its_trial_again(join: Join, squeue: Callable[[str], None]) -> None:
    stopping = join(replace(HERE, job="4711"), trials=2)
    assert stopping.claim() is not None
    stopping.leave(0, requeued=True)
    near = join(trials=2)
    squeue("echo 4711 COMPLETING")
    claimed = near.claim()
    assert claimed is not None
    assert claimed.number == 1
    assert near.liveness(near.study.trials[0]) == "queued"
    squeue("exit 0")
    adopted = near.claim()
    assert adopted is not None
    assert (adopted.number, adopted.trial.user_attrs["adoptions"]) == (0, 0)


def test_the_scheduler_is_asked_seldom_and_for_all_jobs_at_once(
    squeue: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    squeue("echo 1 PENDING; echo 2 RUNNING; echo 3 PENDING")
    scheduler, now = queue.Queue(), [0.0]
    monkeypatch.setattr(queue.time, "monotonic", lambda: now[0])
    states = {job: scheduler.state(job) for job in "1231234"}
    assert states == {"1": "PENDING", "2": "RUNNING", "3": "PENDING", "4": ""}
    asked = tmp_path / "bin" / "asked"
    before = asked.read_text().splitlines()
    assert [line.rpartition("=")[2] for line in before] == ["1", "1,2", "1,2,3", "1,2,3,4"]
    refused = "case $3 in *3*) echo 'Invalid job id specified' >&2; exit 1;; *1*) echo 1 RUNNING;; esac"
    (tmp_path / "bin" / "squeue").write_text(SQUEUE.format(folder=tmp_path / "bin", answer=refused))
    now[0] += 29.0
    assert [scheduler.state(job) for job in "1234"] == ["PENDING", "RUNNING", "PENDING", ""]
    assert asked.read_text().splitlines() == before
    now[0] += 2.0
    assert [scheduler.state(job) for job in "1234"] == ["RUNNING", "", "", ""]
    after = [line.rpartition("=")[2] for line in asked.read_text().splitlines()[len(before) :]]
    assert after == ["2,3,1", "2", "3", "1"], "together, and apart only where one is refused"


def test_everybody_who_had_a_trial_before_is_known(join: Join, folder: StudyFolder) -> None:
    """The second died as soon as it had it: what the first left in the run is still there."""
    for host in ("node7", "node8"):
        who = replace(FAR, host=host, place=f"{host}/boot/1")
        claimed = join(who, trials=1).claim()
        assert claimed is not None
        os.utime(next(folder.owners.glob(f"0.{int(claimed.adopted)}")), (time.time() - 5,) * 2)
    claimed = join(trials=1).claim()
    assert claimed is not None and list(claimed.before) == ["node7", "node8"]


def test_a_heartbeat_of_another_trial_with_the_same_run_is_no_life(join: Join, tmp_path: Path) -> None:
    run, other = tmp_path / "run", replace(FAR, host="node8", place="node8/boot/1")
    run.mkdir()
    dead, twin = join(FAR, trials=2), join(other, trials=2)
    assert dead.claim() is not None
    assert twin.claim() is not None
    dead.started(0, run)
    twin.started(1, run)
    near = join(trials=2)
    assert [near.liveness(trial) for trial in near.study.trials] == ["alive", "alive"]
    os.utime(dead.leases.read(0, 0).path, (time.time() - 5,) * 2)
    os.utime(twin.leases.read(1, 0).path, (time.time() - 5,) * 2)
    assert [near.liveness(trial) for trial in near.study.trials] == ["dead", "alive"]


def test_why_an_earlier_worker_meant_to_fail_a_trial_is_not_said_of_its_success(join: Join) -> None:
    first = join(gone(), trials=1).claim()
    assert first is not None
    first.trial.set_user_attr("reason", "out of memory")  # and then it died
    first.trial.set_user_attr("log_end", "a traceback")
    claims = join(trials=1)
    claimed = claims.claim()
    assert claimed is not None
    assert claims.finish(claimed, TrialState.COMPLETE, [0.5]) is True
    (trial,) = claims.study.trials
    assert (trial.state, trial.user_attrs["reason"], trial.user_attrs["log_end"]) == (TrialState.COMPLETE, "", "")


def test_a_trial_that_is_given_up_keeps_no_optimiser_s_state(join: Join, tmp_path: Path) -> None:
    (checkpoints := tmp_path / "run" / "checkpoints").mkdir(parents=True)
    for name in ("last.ckpt", "best.ckpt"):
        (checkpoints / name).touch()
    first = join(gone(), trials=1, adoptions=0)
    assert first.claim() is not None
    first.started(0, tmp_path / "run")
    assert join(trials=1, adoptions=0).claim() is None
    assert [path.name for path in checkpoints.iterdir()] == ["best.ckpt"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The present of this process's monotonic clock, which stands."""
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """`unreachable(True)`: the file system says nothing any more about who has which trial."""
    real, holds = lease.file_time, lease.Leases.holds

    def fail(folder: Path) -> float:
        raise OSError(116, "Stale file handle", str(folder))

    def unseen(self: lease.Leases, *_: object) -> bool:
        fail(self.folder)
        return True

    def put(away: bool) -> None:
        monkeypatch.setattr(lease, "file_time", fail if away else real)
        monkeypatch.setattr(lease.Leases, "holds", unseen if away else holds)

    return put


def test_a_folder_that_is_away_ends_no_worker(
    join: Join, unreachable: Callable[[bool], None], capsys: pytest.CaptureFixture[str]
) -> None:
    claims = join(trials=2, stale=30.0)
    claimed = claims.claim()
    assert claimed is not None
    unreachable(True)
    assert claims.claim() is None
    assert [claims.beat() for _ in range(3)] == [[]] * 3
    assert claims.owns(0)
    unreachable(False)
    assert claims.beat() == []
    said = " ".join(capsys.readouterr().err.split())
    assert said.count("does not answer") == said.count("is back after") == 1
    assert "Stale file handle" in said and str(claims.leases.folder) in said
    second = claims.claim()
    assert second is not None and second.number == 1
    assert claims.finish(claimed, TrialState.COMPLETE, [0.5]) is True


def test_what_cannot_be_seen_for_long_is_no_longer_believed_and_then_free(
    join: Join, unreachable: Callable[[bool], None], clock: list[float]
) -> None:
    claims = join(trials=1, stale=30.0)
    assert claims.claim() is not None
    unreachable(True)
    assert claims.beat() == []
    clock[0] += 31
    assert claims.beat() == [0]
    assert not claims.owns(0)
    assert claims.claim() is None
    unreachable(False)
    again = claims.claim()  # nobody else may take what a living process of this machine has
    assert again is not None
    assert (again.number, again.trial.user_attrs["adoptions"]) == (0, 0)


def test_a_folder_that_stays_away_is_told(join: Join, unreachable: Callable[[bool], None], clock: list[float]) -> None:
    claims = join(trials=1)
    unreachable(True)
    assert claims.claim() is None
    clock[0] += 599
    assert claims.claim() is None
    clock[0] += 2
    with pytest.raises(UserError, match=r"owners has not answered .*Stale file handle.*start the same command again"):
        claims.claim()


def test_an_owner_whose_name_could_not_be_written_is_none(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = join(trials=1)

    def full(*_: object) -> str:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(lease, "_told", full)
        assert claims.claim() is None
    assert not list(claims.leases.folder.glob("0.*"))
    assert claims.claim() is not None


def test_a_claim_that_the_storage_refused_is_given_back(join: Join, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = join(trials=1)
    storage: Any = claims.study._storage
    with monkeypatch.context() as broken:
        broken.setattr(type(storage.inner), "set_trial_state_values", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            claims.claim()
    claimed = claims.claim()
    assert claimed is not None
    assert claimed.trial.user_attrs["adoptions"] == 0
