"""Who a process is: host, number and start, so that another process is never taken for it."""

import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

from ser_lightning.processes.scheduler import allocation

DEAD_STATES = ("Z", "X")
"""States of /proc/PID/stat: a zombie does no work, though its number is still taken."""


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, and the SLURM job it belongs to."""

    host: str
    """What a person knows the machine by."""
    place: str
    """What process numbers are valid in: a machine since its last boot, and one container's view of it."""
    pid: int
    started: str
    """When the system says that the process began; a number that is used again belongs to another start."""
    job: str = ""
    """SLURM_JOB_ID; empty outside SLURM."""

    @classmethod
    def here(cls) -> Self:
        """This process."""
        pid, here = os.getpid(), allocation()
        return cls(socket.gethostname(), place(), pid, process_start(pid) or "", here.job if here else "")

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Self:
        """Read back from JSON; raises KeyError, ValueError and TypeError where it says something else."""
        return cls(
            str(values["host"]), str(values["place"]), int(values["pid"]), str(values["started"]), str(values["job"])
        )

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def running(self) -> bool:
        """Whether the process lives; only to be asked at its own `place`."""
        return process_start(self.pid) == self.started


@cache
def place() -> str:
    """Host, boot and process name space, as far as the system tells them."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        told = f"{boot.read_text(encoding='ascii').strip()}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        told = "-"
    return f"{socket.gethostname()}/{told}"


def process_start(pid: int) -> str | None:
    """When the process began, in the system's own words; None where there is none, or only what is left of it."""
    if not Path("/proc/self/stat").exists():
        return _start_by_ps(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The second field, the name, may hold spaces and brackets; after it come the third, the state, and the others.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in DEAD_STATES else fields[22 - 3]


def _start_by_ps(pid: int) -> str | None:
    told = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=10
    )
    state, _, start = told.stdout.strip().partition(" ")
    return None if not start or state.startswith(DEAD_STATES) else start.strip()
