"""Who works on a run: a file whose lock the system releases with its owner, and whose text names the owner."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from ser_lightning.errors import UserError
from ser_lightning.processes.scheduler import allocation


class TakenError(UserError):
    """Another process is at work there."""


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Own the lock file `path`, which stays, empty, when the block ends; a dead owner of this host is no owner.

    Between hosts the system's lock is not relied on, because some network file systems grant it to both: the text
    of an owner on another host is believed until a person removes the file, unless it is an earlier start of this
    very job: SLURM starts a job again only when nothing of it is left.

    Raises:
        TakenError: another process has it; host and process number are named.
        UserError: the file system has no locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(path, _owner(path)) from error
        except OSError as error:
            raise UserError(
                f"{path}: this file system keeps no locks ({error}); put runs_dir on one that does"
            ) from error
        owner = _owner(path)
        if owner.get("host", socket.gethostname()) != socket.gethostname() and not _started_before(owner):
            raise _taken(path, owner)
        _write(file, json.dumps({"host": socket.gethostname(), "pid": os.getpid()} | _start()))
        try:
            yield
        finally:
            _write(file, "")


def _start() -> dict[str, str | int]:
    """Which start of which job this is; nothing outside SLURM."""
    here = allocation()
    return {"job": here.job, "restarts": here.restarts} if here else {}


def _started_before(owner: Mapping[str, Any]) -> bool:
    here = _start()
    return bool(here) and owner.get("job") == here["job"] and owner["restarts"] < here["restarts"]


def forget(path: Path, host: str) -> None:
    """Believe no more what the lock file says of an owner on `host`, another one, who is known to have died."""
    if host != socket.gethostname() and path.exists() and _owner(path).get("host") == host:
        path.unlink(missing_ok=True)


def owner_of(path: Path) -> dict[str, str]:
    """Host and process number of who has the lock; empty where nobody has."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _owner(path)
    owner = _owner(path)
    return {} if owner.get("host") == socket.gethostname() else owner


def _owner(path: Path) -> dict[str, str]:
    """What the file says; nothing where it is empty or was cut short by a full disk."""
    try:
        return json.loads(path.read_text(encoding="utf-8") or "{}")  # type: ignore[no-any-return]
    except ValueError:
        return {}


def _write(file: TextIO, text: str) -> None:
    # In place: a file put in its stead would be another one, not locked.
    file.truncate(0)
    file.write(text)
    file.flush()


def _taken(path: Path, owner: dict[str, str]) -> TakenError:
    return TakenError(
        f"{path.parent}: process {owner.get('pid', '?')} on {owner.get('host', '?')} is working on this run; "
        f"wait for it, or remove {path} if that process is gone"
    )
