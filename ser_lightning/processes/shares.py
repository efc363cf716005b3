"""What each process that runs children may use of this machine's cores, when several do so at the same time.

Each holds a lock on a file that says how many children it runs on which cores; the system releases the lock with its
holder. Where a scheduler gives processes cores of their own, nothing is divided twice: only those that may use the
same cores share them.
"""

import fcntl
import json
import logging
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from ser_lightning.errors import UserError

FOLDER = Path(tempfile.gettempdir()) / f"ser-lightning-{os.getuid()}"
"""Of this machine, and this user, as every other file there."""
CEILING = "OMP_NUM_THREADS"

logger = logging.getLogger(__name__)


def mine() -> list[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


@contextmanager
def sharing(children: int) -> Iterator[None]:
    """While the block runs, others leave this process its share for `children` at a time."""
    try:
        path, file = _register(children)
    except OSError as error:
        logger.warning("%s: %s; who else runs trainings on this machine takes no account of these", FOLDER, error)
        yield
        return
    with file:
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _register(children: int) -> tuple[Path, TextIO]:
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = FOLDER / f"share-{os.getpid()}-{uuid.uuid4()}"
    file = path.open("w", encoding="utf-8")
    fcntl.flock(file, fcntl.LOCK_EX)  # before it says anything: an empty file counts for nothing
    file.write(json.dumps({"children": children, "cores": mine()}))
    file.flush()
    return path, file


def threads(children: int) -> int:
    """Threads for each of this process's `children` now: its part of each core, added up; OMP_NUM_THREADS at most.

    Raises:
        UserError: OMP_NUM_THREADS is no number.
    """
    on: Counter[int] = Counter()
    for others, cores in _at_work():
        on.update(dict.fromkeys(cores, others))
    share = int(sum(1 / max(children, on[core]) for core in mine()) + 1e-9)
    return max(1, min(share, _ceiling() or share))


def _ceiling() -> int | None:
    text = os.environ.get(CEILING, "").partition(",")[0].strip()  # a list is one of nested levels
    if text and not text.isdigit():
        raise UserError(f"{CEILING}={text}: must be a number of threads; correct or unset it")
    return int(text) if text else None


def _at_work() -> list[tuple[int, list[int]]]:
    found = []
    for path in FOLDER.glob("share-*"):
        try:
            with path.open(encoding="utf-8") as file:
                if _held(file.fileno()):
                    told = json.loads(file.read() or "{}")
                    found.append((int(told.get("children", 0)), list(told.get("cores", []))))
                elif file.read():
                    path.unlink()  # its holder was killed
        except (OSError, ValueError):
            continue  # it has ended since, or is none of ours
    return found


def _held(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
