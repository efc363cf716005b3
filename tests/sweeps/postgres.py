"""A PostgreSQL server for tests: Debian's package, in a temporary folder, as an unprivileged user, on a socket only."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

USER = "ser"


def binaries() -> Path | None:
    """The folder of `initdb` and `postgres`, the newest version first."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    return found[0].parent if found else Path(on_path).resolve().parent if on_path else None


def unprivileged() -> str | None:
    """Whom the server runs as: None is this user, as the server refuses root."""
    if os.getuid() != 0:
        return None
    users = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


def missing() -> str:
    """Why there can be no server here; empty where there can."""
    if binaries() is None:
        return "PostgreSQL is not installed (Debian: apt-get install postgresql)"
    return "" if find_spec("psycopg") else "the Python package psycopg is not installed"


@contextmanager
def server() -> Iterator[str]:
    """Yield the URL of a fresh database; the server ends with the block."""
    # A short path of its own: a socket's may have 107 bytes, and the user has to reach it.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    data, tools, user = folder / "data", binaries(), unprivileged()
    assert tools is not None
    data.mkdir()
    if user:
        shutil.chown(folder, user)
        shutil.chown(data, user)
    try:
        _run([tools / "initdb", "-D", data, "-U", USER, "--auth=trust", "--no-sync", "--no-locale", "-E", "UTF8"], user)
        start(url := f"postgresql+psycopg://{USER}@/postgres?host={folder}")
        try:
            yield url
        finally:
            stop(url)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(url: str) -> None:
    """Start the server of `server` again, as it was."""
    folder = _folder(url)
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
    _control(folder, "-w", "-t", "60", "-l", folder / "log", "-o", options, "start")


def stop(url: str) -> None:
    """Let it vanish: nobody is told, and nothing is finished."""
    _control(_folder(url), "-m", "immediate", "stop")


def _folder(url: str) -> Path:
    return Path(url.partition("?host=")[2])


def _control(folder: Path, *words: object) -> None:
    tools = binaries()
    assert tools is not None
    _run([tools / "pg_ctl", "-D", folder / "data", *words], unprivileged())


def _run(command: list[object], user: str | None) -> None:
    # Output goes to a file: the server would keep a pipe open, and reading it would never end.
    with tempfile.TemporaryFile("w+") as said:
        words = [str(word) for word in command]
        ended = subprocess.run(words, user=user, cwd="/", stdout=said, stderr=said, check=False)
        said.seek(0)
        assert ended.returncode == 0, said.read()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    if reason := missing():
        pytest.skip(reason)
    with server() as url:
        yield url
