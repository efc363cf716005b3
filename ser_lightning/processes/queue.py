"""Which jobs SLURM will start again, or lets go on, by themselves: asked seldom, and for all at once."""

import math
import shutil
import subprocess
import time
from collections.abc import Sequence

COMING_BACK = (
    "PENDING",
    "REQUEUED",
    "REQUEUE_FED",
    "REQUEUE_HOLD",
    "SPECIAL_EXIT",
    "CONFIGURING",
    "SUSPENDED",
    "STOPPED",
)
"""States of a job whose processes come back, or go on, by themselves."""
SECONDS = 10
"""That squeue has to answer."""
EVERY = 30.0
"""Seconds that an answer is believed."""


class Queue:
    """The states of the SLURM jobs that were ever asked for, refreshed by one call of squeue every `EVERY` seconds.

    One that is over stays so and is not asked for again.
    """

    def __init__(self) -> None:
        self._states: dict[str, str | None] = {}
        self._asked = -math.inf

    def state(self, job: str) -> str | None:
        """A job's state; empty where it is over or there is no SLURM, None where the scheduler is silent."""
        old = time.monotonic() - self._asked >= EVERY
        if job not in self._states or (old and self._states[job] != ""):
            self._states |= _states([*(one for one, state in self._states.items() if state != "" and one != job), job])
            self._asked = time.monotonic()
        return self._states[job]

    def comes_back(self, job: str, requeued: bool) -> bool:
        """Whether a job's processes will be started again.

        A scheduler that does not answer is taken for one that has the job: two at work on one thing would be worse than
        a wait.

        Args:
            requeued: one of them said so: it is believed as long as the job is listed at all: it may be stopping.
        """
        state = self.state(job)
        return state is None or state in COMING_BACK or (requeued and state != "")


def _states(jobs: Sequence[str]) -> dict[str, str | None]:
    squeue = shutil.which("squeue")
    if squeue is None:
        return dict.fromkeys(jobs, "")
    command = [squeue, "--noheader", "--format=%A %T", f"--jobs={','.join(jobs)}"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return dict.fromkeys(jobs, None)
    found = dict(line.split()[:2] for line in told.stdout.splitlines() if len(line.split()) > 1)
    if told.returncode and "nvalid job id" not in told.stderr:
        return dict.fromkeys(jobs, None)
    if told.returncode and len(jobs) > 1:  # one that is long over; some versions then say nothing of the others
        return {job: state for one in jobs for job, state in _states([one]).items()}
    return {job: found.get(job, "") for job in jobs}
