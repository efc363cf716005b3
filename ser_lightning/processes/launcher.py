"""Child processes: started from a server that has torch loaded and has run nothing, ended with their parent.

A child forked from here would inherit sockets, threads and a CUDA context; a fresh interpreter spends seconds on
imports. The standard library's forkserver has neither fault.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.endings import code_of, reason
from ser_lightning.processes.scheduler import LAUNCHERS, RANKS
from ser_lightning.processes.signals import SCHEDULERS, shielded, unshield
from ser_lightning.processes.stopping import StopRequest
from ser_lightning.sockets import make_room

PRELOADED = ["ser_lightning.runs.preloaded"]
GRACE = 10.0
"""Seconds that children have to end by themselves, and again after SIGTERM, before SIGKILL."""
BEGUN = "--- begun:"
"""Begins a line of a log that parts what one process said from what one before it did."""
TAIL = 5
"""Lines of a log that an error shows."""


_looking = threading.RLock()
"""How a process ended can be read once, and whoever starts one looks at all others: of two threads one misses it."""


@dataclass(frozen=True)
class Child:
    """A running process, its log, and the pipe whose closing tells it that its parent is gone."""

    name: str
    process: ForkServerProcess
    log: Path
    alive: Connection

    @property
    def fate(self) -> str:
        """How it ended, with the end of what it said."""
        how = reason(self.process.exitcode or 0, stopped=False, kernel_killed=False)
        return "\n  ".join([f"{self.name}: {how}; the end of {self.log}:", *tail(self.log)])

    @property
    def exitcode(self) -> int | None:
        """Below 0 for a signal; None while it runs."""
        with _looking:
            return self.process.exitcode

    def signal(self, number: int) -> None:
        """Send a signal; one that has ended gets none."""
        if self.exitcode is None:
            os.kill(self.process.pid or 0, number)


def tail(log: Path) -> list[str]:
    """The last lines of what the last process said; none where it said nothing."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    begun = max((i + 1 for i, line in enumerate(lines) if line.startswith(BEGUN)), default=0)
    return lines[begun:][-TAIL:]


def without_scheduler() -> dict[str, str]:
    """This process's environment, less what schedulers and launchers say of ranks: that is about their processes."""
    return {name: value for name, value in os.environ.items() if name not in RANKS and not LAUNCHERS.fullmatch(name)}


def start(
    name: str,
    target: Callable[..., None],
    arguments: Sequence[Any],
    environment: Mapping[str, str],
    threads: int,
    log: Path,
) -> Child:
    """Run `target(*arguments)`, both picklable, with exactly this environment and number of threads; log appended."""
    make_room()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    theirs, ours = context.Pipe(duplex=False)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"{BEGUN} {name}, {datetime.now(UTC).isoformat(timespec='seconds')}\n")
    process = context.Process(
        target=_child, args=(target, tuple(arguments), dict(environment), threads, str(log), theirs), name=name
    )
    with _looking, shielded():
        process.start()
    theirs.close()
    return Child(name, process, log, ours)


def _child(
    target: Callable[..., None],
    arguments: tuple[Any, ...],
    environment: dict[str, str],
    threads: int,
    log: str,
    alive: Connection,
) -> None:
    unshield()
    os.environ.clear()
    os.environ.update(environment)
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    import torch

    torch.set_num_threads(threads)
    try:
        target(*arguments)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        print(error, file=sys.stderr, flush=True)
        sys.exit(code_of(error))


def _end_with_parent(alive: Connection) -> None:
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def follow(children: Sequence[Child], stop: StopRequest, look: Callable[[], None] = lambda: None) -> None:
    """Wait until all have ended; a stop request is passed on, and the death of one ends the others.

    Args:
        look: called meanwhile, several times a second.

    Raises:
        StoppedError: they stopped because they were asked to.
        UserError: one ended otherwise; the fate of the first is told.
    """
    try:
        first = _first_failure(children, stop, look)
    finally:
        _end(children)
    if first is None:
        return
    if stop.reason:
        raise StoppedError(stop.reason, stop.exit_code)
    code = first.process.exitcode or 0
    code = code if code > 0 else 128 - code  # one that could not yet listen has died of the signal
    if code - 128 in SCHEDULERS:
        raise StoppedError(f"{signal.Signals(code - 128).name}, which reached another rank", code)
    error = UserError(first.fate)
    error.exit_code = code
    raise error


def _first_failure(children: Sequence[Child], stop: StopRequest, look: Callable[[], None]) -> Child | None:
    """The first that did not end well, as soon as it has; None when all have ended well."""
    asked = False
    while running := [child for child in children if child.process.is_alive()]:
        wait([child.process.sentinel for child in running], timeout=0.2)
        look()
        if stop.reason and not asked:
            asked = True
            for child in running:  # with the same signal, by which all ranks know what was asked
                child.signal(stop.exit_code - 128 if stop.exit_code - 128 in SCHEDULERS else signal.SIGTERM)
        failed = [child for child in children if child.process.exitcode]
        if failed:
            return failed[0]
    return next((child for child in children if child.process.exitcode), None)


def _end(children: Sequence[Child]) -> None:
    """Nobody is left: who still runs has time to end by itself, then SIGTERM, then SIGKILL."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + GRACE
        while any(child.process.is_alive() for child in children) and time.monotonic() < deadline:
            wait([child.process.sentinel for child in children if child.process.is_alive()], timeout=0.2)
        for child in children:
            child.signal(number)
    for child in children:
        child.process.join()
        child.alive.close()
