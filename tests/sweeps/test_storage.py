"""Storages: a journal that survives its writers, databases and proxies that are told when they don't answer."""

import math
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage, JournalStorage

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps import database, storage
from ser_lightning.sweeps.lock import SharedLock, holding
from ser_lightning.sweeps.outage import Patient
from ser_lightning.sweeps.storage import open_storage

TRIALS = 40


def run(code: str, *arguments: object) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", code, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def inner(storage: BaseStorage) -> Any:
    assert isinstance(storage, Patient)
    return storage.inner


@contextmanager
def ended(process: "subprocess.Popen[str]") -> Iterator["subprocess.Popen[str]"]:
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_journal_is_found_through_a_link_and_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path)
    made = open_storage(None, Path("link"))
    monkeypatch.chdir("/")
    optuna.create_study(storage=made, study_name="s").ask()
    other = open_storage(None, tmp_path / "real")
    assert isinstance(inner(other), JournalStorage)
    assert len(optuna.load_study(study_name="s", storage=other).trials) == 1
    assert (tmp_path / "real" / "journal.log").exists()


def test_a_record_that_was_torn_does_not_spoil_the_journal(tmp_path: Path) -> None:
    study = optuna.create_study(storage=open_storage(None, tmp_path), study_name="s")
    study.ask()
    with (tmp_path / "journal.log").open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","study_')
    study.ask()
    again = optuna.load_study(study_name="s", storage=open_storage(None, tmp_path))
    assert [trial.number for trial in again.trials] == [0, 1]


HOLD = """
import sys, time
from pathlib import Path
from ser_lightning.sweeps.lock import SharedLock
SharedLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
time.sleep(60)
"""


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with ended(run(HOLD, path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert path.exists()
        with holding(SharedLock(path, grace=math.inf)):
            pass
    assert not path.exists()


def test_the_lock_of_another_host_is_waited_for_and_broken_after_its_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, now = tmp_path / "lock", [0.0]

    def sleep(seconds: float) -> None:
        assert path.read_text(encoding="utf-8") == "node7/boot/1 token"
        now[0] += seconds

    monkeypatch.setattr("ser_lightning.sweeps.lock.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    path.write_text("node7/boot/1 token", encoding="utf-8")
    with holding(SharedLock(path, grace=30)):
        assert 30 < now[0] < 31  # a pause is a quarter of a second at most
        path.write_text("node8/boot/1 token", encoding="utf-8")  # broken by a host that believed us dead
    assert path.read_text(encoding="utf-8") == "node8/boot/1 token"


COUNT = """
import sys
from pathlib import Path
from ser_lightning.sweeps.lock import SharedLock, holding
lock, total = SharedLock(Path(sys.argv[1]) / "lock"), Path(sys.argv[1]) / "total"
for _ in range(100):
    with holding(lock):
        total.write_text(str(int(total.read_text()) + 1))
"""


@pytest.mark.parametrize("flock", [True, False])
def test_the_lock_excludes(tmp_path: Path, flock: bool) -> None:
    (tmp_path / "total").write_text("0", encoding="utf-8")
    without = "import fcntl\ndef none(*_): raise OSError\nfcntl.flock = none\n"
    processes = [run(("" if flock else without) + COUNT, tmp_path) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "total").read_text(encoding="utf-8") == "300"


CREATE = """
import sys
from pathlib import Path
from ser_lightning.sweeps.storage import open_storage
print("ready", flush=True)
sys.stdin.readline()
open_storage(sys.argv[1], Path("."))
"""


def test_many_may_make_the_tables_at_once(tmp_path: Path) -> None:
    processes = [run(CREATE, f"sqlite:///{tmp_path}/study.db") for _ in range(4)]
    assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 4
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        _, said = process.communicate()
        assert process.returncode == 0, said


def test_sqlite_is_opened_by_an_absolute_path_only(tmp_path: Path) -> None:
    assert inner(open_storage(f"sqlite:///{tmp_path}/study.db", tmp_path))._backend.engine.name == "sqlite"
    for url in ("sqlite:///study.db", "sqlite://", "sqlite:///:memory:"):
        with pytest.raises(ConfigError, match="absolute path"):
            open_storage(url, tmp_path)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("no url", "is no URL such as"),
        ("postgresql://u@h:port/d", "is no URL such as"),
        ("oracel://u@h/d", "knows no database `oracel`"),
        ("grpc://nowhere", "grpc://HOST:PORT"),
        ("grpc://h:port", "grpc://HOST:PORT"),
    ],
)
def test_a_malformed_url_is_told(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        open_storage(url, tmp_path)


def test_a_missing_driver_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)
    with pytest.raises(UserError, match="pip install 'mysqlclient'"):
        open_storage("mysql://u:secret@h/d", tmp_path)


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where connections are taken and nothing is ever said."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield server.getsockname()[1]


def test_a_database_that_does_not_answer_is_told_in_time_and_without_its_password(
    deaf: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setitem(database.CONNECT, "psycopg", database.LIBPQ | {"connect_timeout": 2})
    for port in (deaf, 1):
        with pytest.raises(UserError, match=f"127.0.0.1:{port} cannot be reached") as caught:
            open_storage(f"postgresql+psycopg://ann:secret@127.0.0.1:{port}/trials?sslpassword=hidden", tmp_path)
        assert "secret" not in str(caught.value)
        assert "hidden" not in str(caught.value)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unable to open database file"):
        open_storage(f"sqlite:///{tmp_path}/none/study.db", tmp_path)


def test_a_proxy_that_does_not_answer_is_told_in_time(
    deaf: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("grpc")
    monkeypatch.setattr(storage, "PATIENCE", 1.0)
    with pytest.raises(UserError, match=f"no gRPC proxy answers at 127.0.0.1:{deaf}"):
        open_storage(f"grpc://127.0.0.1:{deaf}", tmp_path)


def test_postgres_refuses_in_its_own_words(postgres: str, tmp_path: Path) -> None:
    assert inner(open_storage(postgres, tmp_path))._backend.engine.name == "postgresql"
    with pytest.raises(UserError, match=r"`nowhere`.* cannot be reached.*does not exist"):
        open_storage(postgres.replace("/postgres?", "/nowhere?"), tmp_path)
