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
from ser_lightning.features.filler import Filler, Task
from ser_lightning.signals import shielded, unshield

PRELOADED = ["ser_lightning.features.audio", "ser_lightning.features.torchaudio_shim", "safetensors.torch"]
"""What the server that workers are forked from imports once; a worker then starts in milliseconds."""


@dataclass
class _Worker:
    number: int
    process: BaseProcess
    pipe: Connection
    task: Task | None = None

    def give(self, task: Task | None) -> None:
        """Hand over a task, or tell it with None to store the rest and end."""
        self.task = task
        try:
            self.pipe.send(task)
        except OSError as error:
            raise self._death() from error

    def answer(self) -> str:
        """Why features of the task's file cannot be had, or nothing."""
        try:
            answer: str | Exception = self.pipe.recv()
        except (EOFError, OSError) as error:
            raise self._death() from error
        if isinstance(answer, Exception):
            answer.add_note(f"(extraction worker {self.number}, while it {self._doing})")
            raise answer
        return answer

    @property
    def _doing(self) -> str:
        return f"read {self.task.path}" if self.task else "stored its features"

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
    waiting = iter(tasks)
    with _crew(filler, min(workers, len(tasks))) as crew:
        busy: dict[object, _Worker] = {worker.pipe: worker for worker in crew}
        for worker in crew:
            worker.give(next(waiting))
        while busy:
            for pipe in wait([worker.pipe for worker in busy.values()]):
                task, problem = busy[pipe].task, busy[pipe].answer()
                if task is None:
                    del busy[pipe]
                else:
                    busy[pipe].give(next(waiting, None))
                    yield task, problem


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
    """A worker's life: tasks until None, one answer each."""
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
            while (task := pipe.recv()) is not None:
                pipe.send(filler(task))
            filler.flush()
            pipe.send("")
        except UserError as error:
            pipe.send(error)
        except Exception:  # a bug: its traceback is worth more than the exception, which may not survive the pipe
            pipe.send(RuntimeError(traceback.format_exc()))
