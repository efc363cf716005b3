"""What a trial holds of the host's memory."""

from collections import defaultdict
from pathlib import Path


def resident(pid: int) -> float:
    """MiB resident in a process and its descendants; 0 where the system does not tell (only Linux does here)."""
    children, pages = defaultdict[int, list[int]](list), dict[int, float]()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # it has ended since
        fields = dict(line.partition(":\t")[::2] for line in status.splitlines())
        children[int(fields["PPid"])].append(int(folder.name))
        pages[int(folder.name)] = float(fields.get("VmRSS", "0 kB").split()[0]) / 1024
    return _sum(pid, children, pages)


def _sum(pid: int, children: dict[int, list[int]], pages: dict[int, float]) -> float:
    return pages.get(pid, 0.0) + sum(_sum(child, children, pages) for child in children.get(pid, []))
