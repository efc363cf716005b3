"""What a trial holds of the host's memory."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path


def resident() -> Callable[[int], float]:
    """MiB resident now in a process and its descendants; 0 where the system does not tell (only Linux does here).

    The table of processes is read once, however many are then asked for.
    """
    children, pages = defaultdict[int, list[int]](list), dict[int, float]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended since
        fields = dict(line.partition(":\t")[::2] for line in status.splitlines())
        children[int(fields["PPid"])].append(int(folder.name))
        pages[int(folder.name)] = float(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    return partial(_sum, children, pages)


def _sum(children: dict[int, list[int]], pages: dict[int, float], pid: int) -> float:
    return pages.get(pid, 0.0) + sum(_sum(children, pages, child) for child in children.get(pid, []))
