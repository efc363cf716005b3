"""Files are written whole, under the umask of who writes them; one that is broken is named."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from ser_lightning.errors import UserError
from ser_lightning.files import read_csv, read_json, replacing, write_csv, write_json, write_text


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644), (0o027, 0o640)])
def test_the_umask_holds_for_files_and_their_folders(mask: int, mode: int, tmp_path: Path) -> None:
    os.umask(mask)
    path = tmp_path / "a" / "b.json"
    write_json(path, {"x": 1})
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o777 & ~mask
    write_text(path, "anew")
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_what_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space left on device: .*x\.txt"), replacing(tmp_path / "x.txt"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"[1]", b"null", b"\xff\xfe", b'{"a": 1}{'])
def test_a_broken_json_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"result\.json is broken \(.*\): copy it again"):
        read_json(path)


@pytest.mark.parametrize("content", [b"a,b\n1,2\n3", b"a,b\n1,2,3\n", b"a,b\n\xff,1\n"])
def test_a_broken_csv_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "split.csv"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"split\.csv is broken \(.*\): copy it again"):
        read_csv(path)
    write_csv(path, ("a", "b"), [(1, "x,\ny")])
    assert read_csv(path) == [{"a": "1", "b": "x,\ny"}]
