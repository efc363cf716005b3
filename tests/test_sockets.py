"""Sockets between processes find room under a TMPDIR of any length, or it is named."""

import multiprocessing
import socket
import tempfile
from multiprocessing import util
from pathlib import Path

import pytest

from ser_lightning import sockets
from ser_lightning.errors import UserError
from ser_lightning.sockets import LONGEST, OWN, fits, make_room


@pytest.fixture
def undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has made no socket yet."""
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {"tempdir": None})


def test_the_longest_folder_is_what_the_system_takes(tmp_path: Path) -> None:
    room = LONGEST - OWN - len(str(tmp_path)) - 1
    assert room > 0
    for extra, taken in ((0, True), (1, False)):
        folder = tmp_path / ("x" * (room + extra))
        below = folder / "pymp-12345678"
        below.mkdir(parents=True)
        assert fits(str(folder)) == taken
        with socket.socket(socket.AF_UNIX) as one:
            if taken:
                one.bind(str(below / "listener-12345678"))
            else:
                with pytest.raises(OSError, match="AF_UNIX path too long"):
                    one.bind(str(below / "listener-12345678"))


@pytest.mark.usefixtures("undecided")
def test_a_long_one_is_left_for_sockets_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 105)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    make_room()
    assert fits(str(Path(util.get_temp_dir()).parent))
    assert tempfile.gettempdir() == str(long)


@pytest.mark.usefixtures("undecided")
def test_without_another_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / ("x" * 105)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setattr(sockets, "SHORT", (str(tmp_path / "none"),))
    with pytest.raises(UserError, match=rf"TMPDIR={long}: .* too long .* set TMPDIR to a folder of at most 75 bytes"):
        make_room()
