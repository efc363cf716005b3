"""How much memory a process has held."""

import resource
import sys

import torch


def peak_memory(device: torch.device) -> float:
    """MiB that this process held at the most: on the device where that is a GPU, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10  # bytes there, KiB on Linux
