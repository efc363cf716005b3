"""One process at a time, over processes and hosts: the journal's lock, and that of a study's folder."""

import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_lightning.processes.identity import place
from ser_lightning.waiting import announced

PAUSES = (0.001, 0.25)
"""Seconds between two looks at a lock that another host holds: the first, and the longest."""


class SharedLock:
    """A queue within the host, and a file that is made exclusively between hosts.

    Either alone is not enough. The system's lock (flock) is given back by the kernel when its holder is killed, and
    those who wait sleep in a queue, but some network file systems grant it to each host separately. A file created
    with O_EXCL is exact on NFS (version 3 and later) and between hosts, but a holder who is killed leaves it behind.
    Together: who has this host's queue and finds a file of this host's knows that its owner is dead; only the file
    of another host that died has to be waited for, `grace` seconds in which nothing happens to it.
    """

    def __init__(self, path: Path, grace: float = 30.0) -> None:
        self._file, self._queue, self._grace = path, path.with_name(f"{path.name}.queue"), grace
        self._handle: int | None = None
        self._text = ""

    def acquire(self) -> bool:
        """Wait for it; always True."""
        handle = os.open(self._queue, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            queued = _flock(handle, self._queue)
            text = self._make(queued)
        except BaseException:
            os.close(handle)
            raise
        self._handle, self._text = handle, text
        return True

    def release(self) -> None:
        """Give it back; one that was broken meanwhile is left to who has it."""
        handle, self._handle = self._handle, None
        if handle is None:
            raise RuntimeError(f"{self._file} is not held")
        try:
            if _read(self._file) == self._text:
                self._file.unlink(missing_ok=True)
        finally:
            os.close(handle)

    def _make(self, queued: bool) -> str:
        text = f"{place()} {uuid.uuid4()}"
        seen, since, pause = "", time.monotonic(), PAUSES[0]
        while not _create(self._file, text):
            found = _read(self._file)
            if found != seen:
                seen, since = found, time.monotonic()
            of_this_host = queued and found.rpartition(" ")[0] == place()
            if of_this_host or time.monotonic() - since > self._grace:
                self._break(found)
            else:
                time.sleep(pause)
                pause = min(2 * pause, PAUSES[1])
        return text

    def _break(self, text: str) -> None:
        """Take away the file with this text, and no other: who was faster may have made theirs already."""
        aside = self._file.with_name(f"{self._file.name}.{uuid.uuid4()}")
        try:
            self._file.rename(aside)
        except FileNotFoundError:
            return
        if (found := _read(aside)) != text:
            _create(self._file, found)
        aside.unlink(missing_ok=True)


@contextmanager
def holding(lock: SharedLock) -> Iterator[None]:
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _flock(handle: int, path: Path) -> bool:
    """Wait in the host's queue; False where the file system has none, so that the file alone decides."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with announced(f"another process of this host to give back {path}"):
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        return False
    return True


def _create(path: Path, text: str) -> bool:
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:  # a full disk: a file without a name would be taken for another host's
        path.unlink(missing_ok=True)
        raise
    return True


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
