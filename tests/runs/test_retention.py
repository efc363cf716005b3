"""What a trial that ended early leaves: weights, and no lock that says a dead process is at work."""

import json
import socket
from pathlib import Path

import pytest

from ser_lightning.processes.lock import TakenError, owned
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.retention import forget_state


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.checkpoints.mkdir(parents=True)
    for name in ("last.ckpt", "best.ckpt"):
        (run.checkpoints / name).touch()
    return run


def killed_on(run: RunFolder, host: str) -> None:
    run.lock.write_text(json.dumps({"host": host, "pid": 1}))


def left(run: RunFolder) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def test_a_killed_process_keeps_no_other_host_waiting(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_on(run, socket.gethostname())
    forget_state(run)
    assert left(run) == ["best.ckpt"]
    monkeypatch.setattr(socket, "gethostname", lambda: "node8")
    with owned(run.lock):
        """As a trial with the same values would."""


def test_another_host_s_process_is_believed_until_it_is_known_to_be_dead(run: RunFolder) -> None:
    killed_on(run, "node7")
    forget_state(run)
    assert left(run) == ["best.ckpt", "last.ckpt"]
    with pytest.raises(TakenError), owned(run.lock):
        pass
    forget_state(run, dead=["node7"])
    assert left(run) == ["best.ckpt"]
    with owned(run.lock):
        pass


def test_nothing_is_made_of_a_run_that_was_not_begun(tmp_path: Path) -> None:
    forget_state(RunFolder(tmp_path / "run"), dead=["node7"])
    assert not (tmp_path / "run").exists()
