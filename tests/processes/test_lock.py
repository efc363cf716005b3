"""A lock belongs to one process; a dead owner's is taken over, another host's is not."""

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.processes.lock import TakenError, forget, owned
from ser_lightning.processes.scheduler import Allocation

HOLD = (
    "import sys; from pathlib import Path; from ser_lightning.processes.lock import owned\n"
    "with owned(Path(sys.argv[1])): print('mine', flush=True); sys.stdin.read()"
)


def holder(path: Path) -> "subprocess.Popen[str]":
    """A process that holds the lock, if it gets it, until its input ends."""
    command = [sys.executable, "-c", HOLD, str(path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)


def test_held_inside_and_free_after_even_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), owned(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text()) == {"host": socket.gethostname(), "pid": os.getpid()}
        raise ZeroDivisionError
    with owned(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").read_text() == ""


def test_a_living_owner_keeps_it_and_a_killed_one_loses_it(tmp_path: Path) -> None:
    child = holder(tmp_path / "lock")
    assert child.stdout is not None
    assert child.stdout.readline() == "mine\n"
    says = f"process {child.pid} on {socket.gethostname()}"
    with pytest.raises(UserError, match=says), owned(tmp_path / "lock"):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    with owned(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_an_owner_on_another_host_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(UserError, match=r"process 1 on elsewhere .* remove .*lock"), owned(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(
    ("owner", "free"),
    [({"job": "7", "restarts": 0}, True), ({"job": "7", "restarts": 1}, False), ({"job": "8", "restarts": 0}, False)],
)
def test_a_job_that_was_started_again_on_another_host_takes_its_own_lock_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: dict[str, object], free: bool
) -> None:
    here = Allocation("7", "7", 1, "0", 1, 1, 0, 0, 0, "n2")
    monkeypatch.setattr("ser_lightning.processes.lock.allocation", lambda: here)
    (tmp_path / "lock").write_text(json.dumps({"host": "n1", "pid": 1} | owner))
    with nullcontext() if free else pytest.raises(TakenError, match="process 1 on n1"), owned(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text()).items() >= {"job": "7", "restarts": 1}.items()


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    children = [holder(tmp_path / "lock") for _ in range(6)]
    # All have had their try before the one that has it may end.
    assert sorted(child.stdout.readline() for child in children if child.stdout) == [""] * 5 + ["mine\n"]
    for child in children:
        child.communicate()


def test_an_owner_on_another_host_is_believed_until_it_is_known_to_be_dead(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    for unrelated in ("", "third", socket.gethostname()):
        forget(path, unrelated)
        with pytest.raises(TakenError, match="process 1 on elsewhere"), owned(path):
            pass
    forget(path, "elsewhere")
    with owned(path):
        forget(path, socket.gethostname())
        assert path.exists()
