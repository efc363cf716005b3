"""Children in slots: how each ended, what a stop does, and which GPUs a slot sees."""

import math
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ser_lightning.errors import UserError
from ser_lightning.processes import shares
from ser_lightning.processes.endings import CODES, KILLED, code_of, reason
from ser_lightning.processes.launcher import tail
from ser_lightning.processes.slots import Job, Slots, environments
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.training.module import NonFiniteLossError

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"


class Seen:
    """What a watcher was told."""

    def __init__(self) -> None:
        self.began, self.reasons, self.most = list[str](), dict[str, str](), 0

    def begun(self, job: Job) -> None:
        self.began.append(job.name)
        self.most = max(self.most, len(self.began) - len(self.reasons))

    def ended(self, job: Job, reason: str) -> None:
        self.reasons[job.name] = reason

    def tick(self) -> None:
        """Nothing to draw."""


def jobs(folder: Path, codes: dict[str, str]) -> list[Job]:
    return [Job(name, exec, (code,), folder / f"{name}.log") for name, code in codes.items()]


@pytest.fixture
def endless_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody who was asked to stop is killed for taking long: what ends has ended otherwise."""
    monkeypatch.setattr("ser_lightning.processes.slots.PATIENCE", math.inf)


def test_endings_are_told_apart_and_one_leaves_the_others(tmp_path: Path) -> None:
    seen = Seen()
    codes = {
        "well": "print('all well')",
        "segfault": "import signal; signal.raise_signal(signal.SIGSEGV)",
        "killed": "import os; os.kill(os.getpid(), 9)",
        "memory": "import torch; torch.empty(10**15)",
        "gpu": "import torch; raise torch.OutOfMemoryError('CUDA out of memory')",
        "nan": "from ser_lightning.training.module import NonFiniteLossError as E; raise E('train loss is nan')",
        "bug": "1 / 0",
    }
    Slots([dict(os.environ)] * 2, StopRequest(), seen).work(iter(jobs(tmp_path, codes)))
    assert seen.reasons.pop("killed").startswith("killed by SIGKILL")
    assert seen.reasons == {
        "well": "finished",
        "segfault": "crashed (SIGSEGV)",
        "memory": "out of memory",
        "gpu": "out of GPU memory",
        "nan": "loss is not finite",
        "bug": "failed (exit code 1)",
    }
    assert seen.most == 2
    assert "ZeroDivisionError" in (tmp_path / "bug.log").read_text()
    assert tail(tmp_path / "nan.log") == ["train loss is nan"]


def test_a_stop_ends_what_runs_and_begins_nothing(tmp_path: Path, endless_patience: None) -> None:
    stop = StopRequest()

    class Stopping(Seen):
        def begun(self, job: Job) -> None:
            super().begun(job)
            stop.request("SIGINT", 130)

    seen = Stopping()
    Slots([dict(os.environ)], stop, seen).work(
        iter(jobs(tmp_path, dict.fromkeys(("first", "second"), "import time; time.sleep(100)")))
    )
    assert (seen.began, seen.reasons) == (["first"], {"first": "stopped"})


def test_one_is_asked_to_stop_and_jobs_may_come_later(tmp_path: Path) -> None:
    """`slow` is ended while `late` has not come yet; the others end as they would."""
    slow, quick, late = jobs(tmp_path, {"slow": "import time; time.sleep(100)", "quick": "pass", "late": "pass"})
    seen = Seen()
    slots = Slots([dict(os.environ)] * 2, StopRequest(), seen)

    def coming() -> Iterator[Job | None]:
        yield from (slow, quick)
        while "quick" not in seen.reasons:
            yield None
        slots.end(slow)
        yield late

    slots.work(coming())
    assert seen.reasons == {"slow": "stopped", "quick": "finished", "late": "finished"}


def test_one_that_does_not_stop_when_asked_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_lightning.processes.slots.PATIENCE", 1.0)
    (job,) = jobs(tmp_path, {"deaf": DEAF})
    seen = Seen()
    slots = Slots([dict(os.environ)], StopRequest(), seen)

    def coming() -> Iterator[Job | None]:
        yield job

    class Asking(Seen):
        def tick(self) -> None:
            if "deaf" in tail(job.log) and job.name not in slots.asked:
                slots.end(job)

    slots.watch = seen = Asking()
    slots.work(coming())
    assert seen.reasons == {"deaf": "stopped"}


def test_what_a_failing_watcher_leaves_is_stopped_not_killed(tmp_path: Path) -> None:
    class Failing(Seen):
        def tick(self) -> None:
            raise ConnectionError("the storage is away")

    seen = Failing()
    with pytest.raises(ConnectionError):
        Slots([dict(os.environ)], StopRequest(), seen).work(
            iter(jobs(tmp_path, {"job": "import time; time.sleep(60)"}))
        )
    assert seen.reasons == {"job": "stopped"}


def test_a_slot_has_its_environment_and_share_of_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "FOLDER", tmp_path / "shares")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(shares, "mine", lambda: list(range(7)))
    outer = [os.environ | {"SLOT": "left"}, os.environ | {"SLOT": "right"}]
    both = f"while not all(os.path.exists(f'{tmp_path}/{{name}}.log') for name in 'ab'): time.sleep(0.01)"
    code = f"import os, time, torch; print(os.environ['SLOT'], torch.get_num_threads())\n{both}"
    Slots(outer, StopRequest(), Seen()).work(iter(jobs(tmp_path, {"a": code, "b": code})))
    found = [tail(tmp_path / f"{name}.log") for name in "ab"]
    assert sorted(found) == [["left 3"], ["right 3"]]


def test_every_exit_code_has_words() -> None:
    told = {code: reason(code, stopped=False, kernel_killed=False) for code in (3, 137, 139, 255, -40)}
    assert told == {
        3: "failed (exit code 3)",
        137: KILLED,
        139: "crashed (SIGSEGV)",
        255: "failed (exit code 255)",  # exit(-1), which is no signal 127
        -40: "crashed (signal 40)",  # a real-time signal has no name
    }


def test_one_is_killed_at_once_where_time_would_do_harm(tmp_path: Path, endless_patience: None) -> None:
    (job,) = jobs(tmp_path, {"deaf": DEAF})

    class Killing(Seen):
        def tick(self) -> None:
            if "deaf" in tail(job.log) and job.name not in slots.asked:
                slots.end(job, at_once=True)

    seen = Killing()
    slots = Slots([dict(os.environ)], StopRequest(), seen)
    slots.work(iter([job]))
    assert seen.reasons == {"deaf": "stopped"}


def test_a_log_s_end_is_of_the_last_process(tmp_path: Path) -> None:
    for code in ("print('loss is not finite')", "import os; os.kill(os.getpid(), 9)"):
        Slots([dict(os.environ)], StopRequest(), Seen()).work(iter(jobs(tmp_path, {"job": code})))
    assert tail(tmp_path / "job.log") == []
    assert "loss is not finite" in (tmp_path / "job.log").read_text()


@pytest.mark.parametrize(
    ("visible", "jobs", "ranks", "expected"),
    [
        ("0,1,2", None, 1, ["0", "1", "2"]),
        ("2,5", 4, 1, ["2", "5", "2", "5"]),
        ("0,1,2,3,4", None, 2, ["0,1", "2,3"]),
        ("7", 1, 1, ["7"]),
    ],
)
def test_gpus_are_dealt_in_turn(
    visible: str, jobs: int | None, ranks: int, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("SLURM_PROCID", "3")
    found = environments(torch.device("cuda"), jobs, ranks)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in found] == expected
    assert not any(name.startswith("SLURM_") for one in found for name in one)


def test_on_a_cpu_one_slot_unless_told() -> None:
    assert len(environments(torch.device("cpu"), None, 1)) == 1
    assert len(environments(torch.device("cpu"), 3, 1)) == 3
    with pytest.raises(UserError, match="jobs=0"):
        environments(torch.device("cpu"), 0, 1)


def test_exit_codes_of_exceptions() -> None:
    assert code_of(NonFiniteLossError("x")) == CODES["loss is not finite"]
    assert code_of(MemoryError()) == CODES["out of memory"]
    assert code_of(UserError("x")) == code_of(ValueError("x")) == 1
    assert reason(128 + signal.SIGSEGV, stopped=False, kernel_killed=False) == "crashed (SIGSEGV)"
    assert len(set(CODES.values()) | {0, 1, 2, 128 + signal.SIGTERM}) == len(CODES) + 4
