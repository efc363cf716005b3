"""Whether a trial's worker lives: its process where that can be asked, else its heartbeat, else its scheduler."""

import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from ser_lightning.files import write_json
from ser_lightning.processes.identity import Identity
from ser_lightning.sweeps.owners import Owner, Owners, file_time

Liveness = Literal["alive", "dead", "queued"]
NAME = "heartbeat"
"""The file in the run's folder."""
WAITING = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "CONFIGURING", "SUSPENDED", "STOPPED")
"""States of a SLURM job whose processes come back, or go on, by themselves."""
SQUEUE_SECONDS = 10
SQUEUE_EVERY = 30.0
"""Seconds that an answer of the scheduler is believed; a study asks for all its jobs at once."""


def write(owner: Owner, run: Path | None, study: str, number: int, first: bool = False) -> None:
    """Say that the trial's worker lives: beside its name, and in the run's folder once there is one.

    Either says enough; another host may see only one of the two folders.

    Args:
        first: write who it is into the run's folder; later the file is only touched.
    """
    os.utime(owner.path)
    if run and owner.who and first:
        told = {"study": study, "number": number, "slurm_job": owner.who.job}
        write_json(run / NAME, asdict(owner.who) | told)
    elif run:
        os.utime(run / NAME)


def liveness(owner: Owner, run: Path | None, owners: Owners, stale: float) -> Liveness:
    """Whether the last owner of a trial that isn't finished will go on with it.

    Args:
        owner: who took it last.
        run: the run's folder, where the heartbeat is; None before there is one.
        owners: the folder's, just asked for its `turns`: the present is that of then.
        stale: seconds without a heartbeat after which a worker on another host is dead.
    """
    me = owners.me
    if not owner.left and _alive(owner, run, owners, stale):
        return "alive"
    if owner.who and owner.who.job and owner.who.job != me.job and _comes_back(owner):
        return "queued"
    return "dead"


def _alive(owner: Owner, run: Path | None, owners: Owners, stale: float) -> bool:
    if owner.who and owner.who.place == owners.me.place:
        return owner.who.running
    if _age(owner.path, owners.present) <= stale:
        return True
    # Trials with the same values are one run: what is in its folder may be of another one's worker.
    return run is not None and run.is_dir() and _age(run / NAME, file_time(run)) <= stale and _of(owner, run / NAME)


def _of(owner: Owner, beat: Path) -> bool:
    """Whether a heartbeat in a run's folder is of this owner's process."""
    try:
        return Identity.of(json.loads(beat.read_text(encoding="utf-8"))) == owner.who
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _age(path: Path, present: float) -> float:
    """Seconds since a file was touched; infinite where there is none."""
    try:
        return present - path.stat().st_mtime
    except OSError:
        return math.inf


def _comes_back(owner: Owner) -> bool:
    """Whether the scheduler will start the owner's job again.

    An owner that let go because its job is requeued is believed as long as that job is listed at all: it may still be
    stopping. A scheduler that does not answer is taken for one that has the job: its own worker takes the trial up
    again, and two at work on one run would be worse than a wait.
    """
    state = _scheduler.state(owner.who.job if owner.who else "")
    return state is None or state in WAITING or (owner.requeued and state != "")


class Scheduler:
    """The states of the SLURM jobs that were ever asked for, refreshed by one call every `SQUEUE_EVERY`.

    One that is over stays so and is not asked for again.
    """

    def __init__(self) -> None:
        self._states: dict[str, str | None] = {}
        self._asked = -math.inf

    def state(self, job: str) -> str | None:
        """A job's state; empty where it is over or there is no SLURM, None where the scheduler is silent."""
        old = time.monotonic() - self._asked >= SQUEUE_EVERY
        if job not in self._states or (old and self._states[job] != ""):
            self._states |= _states([*(one for one, state in self._states.items() if state != "" and one != job), job])
            self._asked = time.monotonic()
        return self._states[job]


_scheduler = Scheduler()


def _states(jobs: Sequence[str]) -> dict[str, str | None]:
    squeue = shutil.which("squeue")
    if squeue is None:
        return dict.fromkeys(jobs, "")
    command = [squeue, "--noheader", "--format=%A %T", f"--jobs={','.join(jobs)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SQUEUE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return dict.fromkeys(jobs, None)
    found = dict(line.split()[:2] for line in told.stdout.splitlines() if len(line.split()) > 1)
    if told.returncode and "nvalid job id" not in told.stderr:
        return dict.fromkeys(jobs, None)
    if told.returncode and len(jobs) > 1:  # one that is long over; some versions then say nothing of the others
        return {job: state for one in jobs for job, state in _states([one]).items()}
    return {job: found.get(job, "") for job in jobs}
