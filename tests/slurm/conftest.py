"""A SLURM cluster for the tests of this folder, one in each worker of pytest-xdist that runs any; disks that fill."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .cluster import Cluster, missing


@pytest.fixture(scope="session")
def _session_cluster() -> Iterator[Cluster]:
    if reason := missing():
        pytest.skip(reason)
    with Cluster() as cluster:
        yield cluster


@pytest.fixture
def cluster(_session_cluster: Cluster) -> Iterator[Cluster]:
    """The cluster, idle; what a test leaves running or down is ended or brought back after it."""
    yield _session_cluster
    _session_cluster.reset()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """`small_disk(megabytes)`: a folder on a disk of its own, which jobs share and can fill."""
    with ExitStack() as stack:
        yield lambda megabytes: stack.enter_context(_mounted(tmp_path / "small_disk", megabytes))


@contextmanager
def _mounted(at: Path, megabytes: int) -> Iterator[Path]:
    at.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "small_disk", str(at)]
    if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
        pytest.skip(f"no disk can be mounted here ({done.stderr.strip()})")
    try:
        yield at
    finally:
        # Lazily: a process that was just killed may hold it for a moment.
        subprocess.run(["umount", "--lazy", str(at)], check=True)
