"""Shares of a machine's cores: the same cores are divided, different ones are not, and the dead have none."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.processes import shares
from ser_lightning.processes.shares import sharing, threads

OTHER = """
import sys, time
from pathlib import Path
from ser_lightning.processes import shares
shares.FOLDER = Path(sys.argv[1])
shares.mine = lambda: [int(core) for core in sys.argv[3].split(",")]
with shares.sharing(int(sys.argv[2])):
    print("shares", flush=True)
    time.sleep(60)
"""
Process = subprocess.Popen[str]


@pytest.fixture(autouse=True)
def eight_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shares, "FOLDER", tmp_path)
    monkeypatch.setattr(shares, "mine", lambda: list(range(8)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Callable[[int, str], Process]]:
    """`other(children, cores)`: another process that runs children."""
    started: list[Process] = []

    def start(children: int, cores: str) -> Process:
        command = [sys.executable, "-c", OTHER, str(tmp_path), str(children), cores]
        started.append(process := subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert process.stdout is not None
        assert process.stdout.readline() == "shares\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_alone_it_has_all_cores() -> None:
    for children, expected in [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)]:
        with sharing(children):
            assert threads(children) == expected


def test_processes_on_the_same_cores_share_them(other: Callable[[int, str], Process]) -> None:
    with sharing(2):
        process = other(2, "0,1,2,3,4,5,6,7")
        assert threads(2) == 2
        process.kill()  # it leaves its file
        process.wait()
        assert threads(2) == 4


def test_a_scheduler_s_division_is_not_repeated(other: Callable[[int, str], Process]) -> None:
    other(4, "8,9,10,11")
    with sharing(1):
        assert threads(1) == 8
        other(3, "6,7")  # of cores 6 and 7 each of four children has a quarter: 6 + 2 / 4
        assert threads(1) == 6


def test_omp_num_threads_is_a_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    with sharing(2):
        for text, expected in [("3", 3), ("6", 4), ("2,1", 2), ("", 4)]:
            monkeypatch.setenv("OMP_NUM_THREADS", text)
            assert threads(2) == expected
        monkeypatch.setenv("OMP_NUM_THREADS", "many")
        with pytest.raises(UserError, match="OMP_NUM_THREADS=many"):
            threads(2)


def test_nothing_is_left(tmp_path: Path) -> None:
    with sharing(1):
        (file,) = tmp_path.iterdir()
        file.unlink()  # as a cleaner of temporary files does
        assert threads(2) == 4
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_used_stops_no_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(shares, "FOLDER", tmp_path / "file" / "folder")
    with sharing(2):
        assert threads(2) == 4
    assert f"{shares.FOLDER}: " in caplog.text
