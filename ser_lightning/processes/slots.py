"""Many runs on one machine: N children at a time, each with its share of cores and GPUs; one's end is its own."""

import math
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Protocol

import torch

from ser_lightning.errors import UserError
from ser_lightning.processes.endings import kernel_kills, reason
from ser_lightning.processes.launcher import Child, start, without_scheduler
from ser_lightning.processes.shares import sharing, threads
from ser_lightning.processes.stopping import StopRequest

PATIENCE = 30.0
"""Seconds that children have to stop at a step's end before they are killed; they resume from the last whole epoch."""
TICK = 0.5


@dataclass(frozen=True)
class Job:
    """`target(*arguments)`, both picklable, in a process of its own whose output is appended to `log`."""

    name: str
    target: Callable[..., None]
    arguments: tuple[Any, ...]
    log: Path


class Watch(Protocol):
    """Told as it happens."""

    def begun(self, job: Job) -> None: ...

    def ended(self, job: Job, reason: str) -> None:
        """`reason` is one of endings.py."""

    def tick(self) -> None:
        """Every half second at least."""


def environments(device: torch.device, jobs: int | None, ranks: int) -> list[dict[str, str]]:
    """The environment of each of `jobs` slots: GPUs are dealt in turn, `ranks` to each.

    Args:
        device: what a run trains on.
        jobs: None for as many as the GPUs can hold, or one.
        ranks: processes, and so GPUs, of one run.

    Raises:
        UserError: no job at all.
    """
    if jobs is not None and jobs < 1:
        raise UserError(f"jobs={jobs}: must be at least 1")
    outer = without_scheduler()
    if device.type != "cuda":
        return [outer] * (jobs or 1)
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = named.split(",") if named else [str(i) for i in range(torch.cuda.device_count())]
    sets = [",".join(gpus[i : i + ranks]) for i in range(0, len(gpus) - ranks + 1, ranks)]
    return [outer | {"CUDA_VISIBLE_DEVICES": sets[i % len(sets)]} for i in range(jobs or len(sets))]


class Slots:
    """The i-th slot's children get the i-th of `environments`, and all children on the machine equal shares of it."""

    def __init__(self, environments: Sequence[Mapping[str, str]], stop: StopRequest, watch: Watch) -> None:
        self.environments, self.stop, self.watch = environments, stop, watch
        self.running: dict[int, tuple[Job, Child]] = {}
        self.asked: dict[str, float] = {}
        """Until when a job that was asked to stop may go on."""
        self.kills, self.deadline, self.more = kernel_kills(), math.inf, True
        self.abandoned = False
        """Whether the watcher failed: what is killed for that ends as stopped, not as something of its own."""

    def work(self, jobs: Iterator[Job | None]) -> None:
        """Run jobs until there are no more; None means that there is none yet.

        None is begun after a stop request, which those that run are passed on.
        """
        self.more = True
        with sharing(len(self.environments)):
            try:
                while self.running or (self.more and not self.stop.reason):
                    self._begin(jobs)
                    wait([child.process.sentinel for _, child in self.running.values()], timeout=TICK)
                    self.pass_on_stop()
                    self._collect()
                    self.watch.tick()
            finally:
                self.abandoned = True
                self._signal(signal.SIGKILL)
                for _, child in self.running.values():
                    child.process.join()
                self._collect()

    def end(self, job: Job, at_once: bool = False) -> None:
        """Ask one job to stop, or kill it; it ends as stopped."""
        self.asked[job.name] = time.monotonic() + PATIENCE
        for running, child in self.running.values():
            if running == job:
                child.signal(signal.SIGKILL if at_once else signal.SIGTERM)

    def _begin(self, jobs: Iterator[Job | None]) -> None:
        for slot, environment in enumerate(self.environments):
            if self.more and slot not in self.running and not self.stop.reason:
                try:
                    job = next(jobs)
                except StopIteration:
                    self.more = False
                    return
                if job is None:
                    return
                share = threads(len(self.environments))
                child = start(job.name, job.target, job.arguments, environment, share, job.log)
                self.running[slot] = (job, child)
                self.watch.begun(job)

    def pass_on_stop(self) -> None:
        """Tell the children of a stop request, and kill who does not stop; `work` does so every half second."""
        if self.stop.reason and self.deadline == math.inf:
            self.deadline = time.monotonic() + PATIENCE
            self._signal(signal.SIGTERM)
        now = time.monotonic()
        for job, child in self.running.values():
            if now > min(self.deadline, self.asked.get(job.name, math.inf)):
                child.signal(signal.SIGKILL)

    def _collect(self) -> None:
        for slot, (job, child) in list(self.running.items()):
            if (code := child.process.exitcode) is not None:
                del self.running[slot]
                child.alive.close()
                before, self.kills = self.kills, kernel_kills()
                stopped = bool(self.stop.reason) or job.name in self.asked or self.abandoned
                self.asked.pop(job.name, None)
                self.watch.ended(job, reason(code, stopped, self.kills > before))

    def _signal(self, number: int) -> None:
        for _, child in self.running.values():
            child.signal(number)
