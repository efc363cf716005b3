"""How a child process ended, told apart: what a person or a sweep does next depends on it."""

import os
import signal
from pathlib import Path

import torch

from ser_lightning.errors import UserError
from ser_lightning.processes.signals import SCHEDULERS

FINISHED, STOPPED = "finished", "stopped"
NOT_FINITE, MEMORY, GPU_MEMORY = "loss is not finite", "out of memory", "out of GPU memory"
KILLED = "killed by SIGKILL (by someone, or by the kernel for lack of memory)"
FAILED = "failed (exit code 1)"
"""Of any exception: its words are the end of the log."""
CODES = {NOT_FINITE: 70, MEMORY: 71, GPU_MEMORY: 72}
"""Exit codes of a child; apart from those of the shell (126 and on) and of this program (1, 2)."""
SIGNALS = {one.value: one.name for one in signal.Signals}


def code_of(error: BaseException) -> int:
    """The exit code that tells the parent what the exception was; 1 for any other."""
    if isinstance(error, torch.OutOfMemoryError):
        return CODES[GPU_MEMORY]
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):  # what torch's CPU allocator says
        return CODES[MEMORY]
    return error.exit_code if isinstance(error, UserError) else 1


def reason(code: int, stopped: bool, kernel_killed: bool) -> str:
    """Words for an exit code as multiprocessing gives it: below 0 for a signal."""
    if code == 0:
        return FINISHED
    if code - 128 in SCHEDULERS:  # which stopped it in order, maybe before they reached this process
        return STOPPED
    if code - 128 in SIGNALS:  # as a shell or a rank's parent tells it; a program's own 255 is none
        code = 128 - code
    if stopped:
        return STOPPED
    if code == -signal.SIGKILL:
        return f"{MEMORY} (killed by the kernel)" if kernel_killed else KILLED
    if code < 0:
        return f"crashed ({SIGNALS.get(-code, f'signal {-code}')})"
    return next((words for words, known in CODES.items() if known == code), f"failed (exit code {code})")


def kernel_kills() -> int:
    """Processes of this control group that the kernel has killed for lack of memory; 0 where it does not count."""
    try:
        group = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("::")[2].strip()
        text = Path(f"/sys/fs/cgroup{os.path.normpath(group)}/memory.events").read_text(encoding="utf-8")
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)
