"""Extraction shared among processes; each stores whole segments of its own, so that only file names travel.

Workers end with the process that started them, however it ends: a worker that waits for a task, or answers one,
then finds its pipe closed.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from ser_lightning.errors import UserError
from ser_lightning.features.filler import Filler, Task, handfuls
from ser_lightning.processes.signals import shielded, unshield
from ser_lightning.sockets import make_room

PRELOADED = [
    "ser_lightning.features.audio",
    "ser_lightning.features.log_mel",
    "ser_lightning.features.mfcc",
    "ser_lightning.features.parallel",
    "ser_lightning.features.torchaudio_shim",
    "safetensors.torch",
]
"""What the server that workers are forked from imports once; a worker then starts in milliseconds."""

HANDFULS = 8
"""Into how many a worker's share of the tasks is split at least."""


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    tasks: tuple[Task, ...] = ()

    def give(self, tasks: tuple[Task, ...]) -> None:
        """Hand over tasks, or tell it with none to store the rest and end."""
        self.tasks = tasks
        try:
            self.pipe.send(tasks)
        except OSError as error:
            raise self._death() from error

    def answer(self) -> list[str]:
        """Why features of each task's file cannot be had, or nothing."""
        try:
            answer: list[str] | Exception = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(answer, Exception):
            answer.add_note(f"(extraction worker {self.number}, while it {self._doing})")
            raise answer
        return answer

    @property
    def _doing(self) -> str:
        paths = ", ".join(str(task.path) for task in self.tasks)
        one_of = "one of " if len(self.tasks) > 1 else ""
        return f"read {one_of}{paths}" if paths else "stored its features"

    def _death(self) -> UserError:
        self.process.join(timeout=10)
        code = self.process.exitcode or 0
        end = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        remedy = (
            "if memory ran out, lower extraction_workers" if code == -signal.SIGKILL else "see what it printed above"
        )
        return UserError(
            f"extraction worker {self.number} (process {self.process.pid}) {end} while it {self._doing}; {remedy}, and "
            "start the same command again: whole segments are kept"
        )


def in_parallel(filler: Filler, tasks: Sequence[Task], workers: int) -> Generator[tuple[Task, str]]:
    """Tasks with what `filler` says of them, as they are done; all is stored when the iterator ends.

    Raises:
        UserError: a worker raised it or died; the others are ended, what they stored stays.
        RuntimeError: a bug; it holds the worker's traceback.
    """
    workers = min(workers, len(tasks))
    # Of few tasks every worker gets several handfuls, so that all end at about the same time.
    waiting = handfuls(tasks, min(filler.handful, -(-len(tasks) // (HANDFULS * workers))))
    with _crew(filler, workers) as crew:
        busy: dict[object, _Worker] = {worker.pipe: worker for worker in crew}
        for worker in crew:
            worker.give(next(waiting))
        while busy:
            for pipe in wait([worker.pipe for worker in busy.values()]):
                done, problems = busy[pipe].tasks, busy[pipe].answer()
                if done:
                    busy[pipe].give(next(waiting, ()))
                    yield from zip(done, problems, strict=True)
                else:
                    del busy[pipe]


@contextmanager
def _crew(filler: Filler, count: int) -> Iterator[list[_Worker]]:
    crew: list[_Worker] = []
    try:
        crew.extend(_started(filler, number) for number in range(1, count + 1))
        yield crew
    finally:
        for worker in crew:
            worker.pipe.close()
            worker.process.terminate()
        for worker in crew:
            worker.process.join(timeout=10)
            worker.process.kill()


def _started(filler: Filler, number: int) -> _Worker:
    # Forking this process itself would copy locks that its threads hold (OpenMP, the progress bar).
    make_room()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(filler, theirs), name=f"extraction-{number}", daemon=True)
    with shielded():
        process.start()
    # While this end is open here, the other one would not learn of the worker's death.
    theirs.close()
    return _Worker(number, process, ours)


def _work(filler: Filler, pipe: Connection) -> None:
    """A worker's life: handfuls of tasks until an empty one, one answer each."""
    import torch

    # Ctrl-C and a scheduler's warning reach all processes; the parent alone decides what follows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    # An ordinary exit removes the temporary file that is being written.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unshield()
    torch.set_num_threads(1)
    with suppress(EOFError, ConnectionError):  # the parent is gone
        try:
            while tasks := pipe.recv():
                pipe.send(filler(tasks))
            filler.flush()
            pipe.send([])
        except UserError as error:
            pipe.send(error)
        except Exception:  # a bug: its traceback is worth more than the exception, which may not survive the pipe
            pipe.send(RuntimeError(traceback.format_exc()))
