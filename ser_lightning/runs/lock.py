"""Who works on a run: a file that names its owner, made by one process at a time."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_lightning.errors import UserError


@contextmanager
def owned(path: Path) -> Iterator[None]:
    """Own the lock file `path`; the lock of an owner that died on this host is taken over.

    Raises:
        UserError: a living process, or one on another host, has it; host and process number are named.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while not _claimed(path):
        _remove_if_dead(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _claimed(path: Path) -> bool:
    """Whether the lock is ours now: written aside and linked, so that no reader finds it without its owner."""
    mine = path.with_name(f".{path.name}-{socket.gethostname()}-{os.getpid()}")
    mine.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
    try:
        path.hardlink_to(mine)
        return True
    except FileExistsError:
        return False
    finally:
        mine.unlink()


def _remove_if_dead(path: Path) -> None:
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    if owner["host"] == socket.gethostname() and not _alive(owner["pid"]):
        path.unlink(missing_ok=True)
        return
    raise UserError(
        f"{path.parent}: process {owner['pid']} on {owner['host']} is working on this run; "
        f"wait for it, or remove {path} if that process is gone"
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
