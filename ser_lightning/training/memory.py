"""How much memory a process has held, and the little that processes share."""

import errno
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ser_lightning.errors import UserError

SHARED = "/dev/shm"
"""Where batches travel from processes that read them."""
LEAST = 1.0
"""MiB free, below which an error of a full disk is taken to be about it."""


def peak_memory(device: torch.device) -> float:
    """MiB that this process held at the most: on the device where that is a GPU, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10  # bytes there, KiB on Linux


@contextmanager
def shared_memory(workers: int) -> Iterator[None]:
    """Raises UserError: `workers` that read batches found too little of it, which torch and Lightning say badly."""
    try:
        yield
    except Exception as error:
        if not workers or not _short_of_it(error):
            raise
        raise UserError(
            f"training.num_workers={workers}: {SHARED} has {_free():.3g} MiB free, too little to share batches "
            "in; make it larger (docker run --shm-size=1g), or set training.num_workers=0"
        ) from error


def _short_of_it(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.ENOSYS) and _free() < LEAST:
            return True
        if "shared memory" in str(error) or "</torch_" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _free() -> float:
    """MiB."""
    try:
        found = os.statvfs(SHARED)
    except OSError:
        return 0.0
    return found.f_bavail * found.f_frsize / 2**20
