"""Downloads from a server on this machine that breaks off, lies and changes its mind."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.corpora import resuming
from ser_lightning.corpora.download import WrongBytesError, download
from ser_lightning.corpora.resuming import ATTEMPTS, DownloadError

Server = tuple[str, dict[str, Any]]
CONTENT = bytes(range(256)) * 400
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(server: Server, served: Any) -> Any:
    server[1]["/a.zip"] = served(CONTENT)
    return server[1]["/a.zip"]


@pytest.fixture
def url(server: Server) -> str:
    return f"{server[0]}/a.zip"


def test_a_file_that_is_there_is_not_asked_for_again(tmp_path: Path, file: Any, url: str) -> None:
    path = tmp_path / "a.zip"
    assert download(url, path, None) == DIGEST
    assert download(url, path, DIGEST) == DIGEST
    assert path.read_bytes() == CONTENT
    assert file.asked == [""]
    assert list(tmp_path.iterdir()) == [path]


def test_what_breaks_off_goes_on_where_it_broke(tmp_path: Path, file: Any, url: str) -> None:
    file.cuts = [1000, 70_000, 1]
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == ["", "bytes=1000-", "bytes=71000-", "bytes=71001-"]


def test_another_process_goes_on_too(tmp_path: Path, file: Any, url: str) -> None:
    file.cuts = [1000] + [0] * ATTEMPTS
    with pytest.raises(DownloadError, match=r"broke off after 1000 bytes .*; try again later"):
        download(url, tmp_path / "a.zip", DIGEST)
    assert not (tmp_path / "a.zip").exists()
    assert len(file.asked) == 1 + ATTEMPTS
    file.asked.clear(), file.cuts.clear()
    assert download(url, tmp_path / "a.zip", DIGEST) == DIGEST
    assert file.asked == ["bytes=1000-"]


def test_an_interrupt_keeps_what_is_there(tmp_path: Path, file: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    file.cuts = [1000]
    with monkeypatch.context() as patch:
        patch.setattr(resuming.time, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(url, tmp_path / "a.zip", None)
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == ["", "bytes=1000-"]


def test_a_file_that_has_changed_meanwhile_comes_whole(tmp_path: Path, file: Any, url: str) -> None:
    file.cuts = [1000] + [0] * ATTEMPTS
    with pytest.raises(DownloadError):
        download(url, tmp_path / "a.zip", None)
    file.cuts.clear()
    file.content, file.etag = CONTENT[::-1], '"two"'
    download(url, tmp_path / "a.zip", None)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_a_server_that_cannot_tell_whether_a_file_changed_begins_again(
    tmp_path: Path, file: Any, url: str, etag: str
) -> None:
    file.etag, file.cuts = etag, [1000]
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == ["", ""]


def test_the_rest_of_something_else_is_not_appended(tmp_path: Path, file: Any, url: str) -> None:
    file.cuts, file.shift = [1000], 7
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == ["", "bytes=1000-", ""]


@pytest.mark.parametrize("etag", ['"one"', ""])
def test_a_length_that_is_never_reached(tmp_path: Path, file: Any, url: str, etag: str) -> None:
    file.claims, file.etag = len(CONTENT) + 500, etag
    with pytest.raises(DownloadError, match=rf"{len(CONTENT)}"):
        download(url, tmp_path / "a.zip", None)
    assert not (tmp_path / "a.zip").exists()


def test_a_length_that_is_too_short_is_found_by_the_checksum(tmp_path: Path, file: Any, url: str) -> None:
    file.claims = 500
    with pytest.raises(WrongBytesError, match=DIGEST):
        download(url, tmp_path / "a.zip", DIGEST)
    assert list(tmp_path.iterdir()) == []


def test_wrong_bytes_are_removed_and_both_checksums_told(tmp_path: Path, file: Any, url: str) -> None:
    file.content = b"x" + CONTENT[1:]
    with pytest.raises(WrongBytesError) as caught:
        download(url, tmp_path / "a.zip", DIGEST)
    assert DIGEST in str(caught.value)
    assert hashlib.sha256(file.content).hexdigest() in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_server_out_of_order_is_asked_again_and_a_missing_file_is_not(tmp_path: Path, file: Any, url: str) -> None:
    file.statuses = [503, 429, 500]
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert len(file.asked) == 4
    file.statuses, file.asked = [404], []
    with pytest.raises(DownloadError, match=r"404 Not Found; if the file has moved"):
        download(url, tmp_path / "b.zip", None)
    assert len(file.asked) == 1


def test_nobody_there_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "PAUSE", 0.0)
    with pytest.raises(DownloadError, match="broke off after 0 bytes"):
        download("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", None)
    with pytest.raises(DownloadError, match="mend the address"):
        download("a.zip", tmp_path / "a.zip", None)


def test_without_a_length_the_last_chunk_says_that_it_is_whole(tmp_path: Path, file: Any, url: str) -> None:
    file.chunked, file.cuts = True, [1000, 80_000]
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == ["", "", ""]


def leave(folder: Path, file: Any, url: str, content: bytes, state: str | None = None) -> None:
    """What a process that was killed leaves: a part and what is known of it."""
    known = json.dumps({"url": url, "validator": file.etag, "total": len(CONTENT)})
    (folder / "a.zip.part").write_bytes(content)
    (folder / "a.zip.part.json").write_text(known if state is None else state)


def test_killed_between_the_last_byte_and_the_rename(tmp_path: Path, file: Any, url: str) -> None:
    leave(tmp_path, file, url, CONTENT)
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == [f"bytes={len(CONTENT)}-"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("state", ["", "{", "[]", '{"url": "x"}', '{"url": "x", "validator": "y", "total": 9}'])
def test_a_part_of_which_nothing_is_known_is_begun_again(tmp_path: Path, file: Any, url: str, state: str) -> None:
    leave(tmp_path, file, url, b"?" * 1000, state)
    assert download(url, tmp_path / "a.zip", None) == DIGEST
    assert file.asked == [""]
