"""A lock belongs to one process; a dead owner's is taken over, another host's is not."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.runs.lock import owned


def test_held_inside_and_gone_after_even_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), owned(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text()) == {"host": socket.gethostname(), "pid": os.getpid()}
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_living_owner_keeps_it(tmp_path: Path) -> None:
    says = f"process {os.getpid()} on {socket.gethostname()}"
    with owned(tmp_path / "lock"), pytest.raises(UserError, match=says), owned(tmp_path / "lock"):
        pass


def test_a_dead_owner_on_this_host_is_taken_over(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "lock").write_text(json.dumps({"host": socket.gethostname(), "pid": dead.pid}))
    with owned(tmp_path / "lock"):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()


def test_an_owner_on_another_host_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(json.dumps({"host": "elsewhere", "pid": 1}))
    with pytest.raises(UserError, match=r"process 1 on elsewhere .* remove .*lock"), owned(tmp_path / "lock"):
        pass


def test_of_many_at_once_one_gets_it(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from ser_lightning.runs.lock import owned\n"
        "with owned(Path(sys.argv[1])): print('mine'); time.sleep(3)"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "lock")], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True)
        for _ in range(6)
    ]  # fmt: skip
    said = [child.communicate()[0] for child in children]
    assert sum("mine" in text for text in said) == 1
