"""Processes by what /proc says of them: who descends from whom, who holds a file open, and their end."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from .waiting import until


def spawn(words: Iterable[object], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground that ends with this process; Ctrl-C in the terminal doesn't reach it."""
    command = ["setpriv", "--pdeathsig", "KILL", *map(str, words)]
    with log.open("ab") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd="/", start_new_session=True
        )


def alive() -> dict[int, int]:
    """Each live process's parent; zombies, which keep no command line, are left out."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cmdline").read_bytes():
                # The name, in parentheses, may hold spaces; the parent is the second word after it.
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    return found


def ended(pid: int) -> bool:
    """Whether a process is gone, or a zombie."""
    return pid not in alive()


def with_descendants(roots: set[int]) -> set[int]:
    """`roots` that live and whatever they started."""
    parents, known = alive(), set(roots)
    while more := {pid for pid, parent in parents.items() if parent in known} - known:
        known |= more
    return known & parents.keys()


def users(*paths: Path) -> set[int]:
    """Processes with a file at or below `paths` open. slurmstepd, which rewrites its name, is found so."""
    found = set()
    for pid in alive():
        with suppress(OSError):
            held = [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]
            if any(file.is_relative_to(path) for file in held for path in paths):
                found.add(pid)
    return found


def carriers(*variables: str) -> set[int]:
    """Processes whose environment at their start held all of `variables`, each `NAME=value`."""
    found = set()
    for pid in alive():
        with suppress(OSError):
            held = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            if all(variable.encode() in held for variable in variables):
                found.add(pid)
    return found


def kill(find: Callable[[], set[int]]) -> None:
    """Stop and then kill all that `find` finds and their descendants, at one stroke: none sees another's death."""
    frozen: set[int] = set()
    while more := with_descendants(find() - {os.getpid()}) - frozen:
        _send(signal.SIGSTOP, more)
        frozen |= more
    _send(signal.SIGKILL, frozen)
    until(lambda: not frozen & alive().keys(), f"an end of {sorted(frozen)}")


def _send(number: int, pids: set[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
