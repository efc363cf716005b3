"""`ser corpus fetch` against a server on this machine: whole or not at all, and the same bytes the next time."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from ser_lightning.cli import main
from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Config
from ser_lightning.config.sources import choices, packaged, read
from ser_lightning.corpora import unpack as unpacking
from ser_lightning.corpora.download import WrongBytesError
from ser_lightning.corpora.fetch import CorpusSource, fetch_corpus
from ser_lightning.corpora.resuming import DownloadError
from ser_lightning.corpora.scan import scan_corpus
from ser_lightning.corpora.unpack import BrokenArchiveError
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.processes.lock import owned

Write = Callable[..., Path]
Server = tuple[str, dict[str, Any]]
NAMES = ("03a01Fa", "03a01Wa", "08a01Na")


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def audio(tmp_path: Path, wav: Write) -> dict[str, bytes]:
    return {name: wav(tmp_path / "made" / f"{name}.wav", i).read_bytes() for i, name in enumerate(NAMES)}


@pytest.fixture
def table(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stands in an empty folder and returns a function that writes the table of EMO-DB's source there."""
    (tmp_path / "here/conf/corpus/fetch").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")

    def write(name: str = "emodb", **more: Any) -> None:
        values = {"licence": "Licence 7", "page": "http://page", "url": f"{server[0]}/a.zip"} | more
        Path(f"conf/corpus/fetch/{name}.yaml").write_text(json.dumps(values), encoding="utf-8")

    write()
    return write


@pytest.fixture
def file(server: Server, served: Any, audio: dict[str, bytes], table: Callable[..., None]) -> Any:
    files = {f"wav/{name}.wav": content for name, content in audio.items()} | {"erkennung.txt": b"text"}
    server[1]["/a.zip"] = served(zipped(files))
    return server[1]["/a.zip"]


def fetch(corpus: str = "emodb") -> Path:
    return fetch_corpus(configuration(corpus))


@cache
def configuration(corpus: str) -> Config:
    return compose([f"corpus={corpus}", "corpus.root=data/new"]).config


def beside() -> set[str]:
    return {path.name for path in Path("data").iterdir()} if Path("data").exists() else set()


def test_fetched_recorded_and_scanned(file: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file.cuts = [500]
    words = ["corpus=emodb", "corpus.root=data/new", "corpus.classes=[anger,happiness,neutral]"]
    assert main(["corpus", "fetch", *words]) == 0
    told = capsys.readouterr().err
    assert told.index("licence: Licence 7") < told.index(sha(file.content))
    assert file.asked == ["", "bytes=500-"]
    record = json.loads(Path("data/new.fetch.json").read_text())
    assert (record["sha256"], record["bytes"], record["licence"]) == (
        sha(file.content),
        len(file.content),
        "Licence 7",
    )
    assert [u.id for u in scan_corpus(compose(words).config).utterances] == list(NAMES)
    assert beside() == {"new", "new.fetch.json", ".new.fetch.lock"}
    assert Path("data/new").stat().st_mode & 0o777 == 0o755
    fetch()
    assert len(file.asked) == 2


def test_the_licence_is_shown_before_anything_is_asked_for(table: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["corpus", "fetch", "corpus=emodb", "corpus.root=data/new"]) == 1
    told = capsys.readouterr().err
    assert told.index("licence: Licence 7") < told.index("404")


def test_other_bytes_than_recorded_are_refused(file: Any) -> None:
    fetch()
    was = sha(file.content)
    Path("data/new").rename("data/old")
    file.content = zipped({"wav/03a01Fa.wav": b"another"})
    with pytest.raises(WrongBytesError) as caught:
        fetch()
    for text in (was, sha(file.content), "data/new.fetch.json: if the publisher has changed the file, remove it there"):
        assert text in str(caught.value)
    assert not Path("data/new").exists()
    Path("data/new.fetch.json").unlink()
    fetch()
    assert Path("data/new/wav/03a01Fa.wav").read_bytes() == b"another"


def test_a_checksum_that_someone_knows(file: Any, table: Callable[..., None]) -> None:
    table(sha256="0" * 64)
    with pytest.raises(WrongBytesError, match="from the table of the source"):
        fetch()
    assert not Path("data/new.fetch.json").exists()
    table(sha256=sha(file.content))
    fetch()


def broken(content: bytes) -> dict[str, bytes]:
    flipped = bytearray(content)
    flipped[200] ^= 1  # within the samples of the first file
    return {
        "cut short": content[: len(content) // 2],
        "flipped": bytes(flipped),
        "a page": b"<html>Please log in</html>",
        "no audio": zipped({"readme.txt": b"text"}),
        "outside": zipped({"wav/03a01Fa.wav": b"", "../../evil.wav": b"evil"}),
        "absolute": zipped({"/tmp/evil.wav": b"evil"}),
    }


@pytest.mark.parametrize("how", list(broken(bytes(300))))
def test_a_broken_archive_leaves_nothing_and_is_fetched_anew(file: Any, how: str) -> None:
    whole = file.content
    file.content = broken(whole)[how]
    with pytest.raises(BrokenArchiveError, match="it was removed"):
        fetch()
    assert beside() == {".new.fetch", ".new.fetch.lock"}
    assert list(Path("data/.new.fetch").iterdir()) == []
    file.content = whole
    fetch()
    assert sorted(path.stem for path in Path("data/new/wav").iterdir()) == sorted(NAMES)


def test_a_length_that_is_told_too_short(file: Any) -> None:
    file.claims = len(file.content) - 100
    with pytest.raises(BrokenArchiveError, match="no whole ZIP archive"):
        fetch()
    assert not Path("data/new").exists() and not Path("data/new.fetch.json").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_unpacking_that_is_interrupted_needs_no_second_download(
    file: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    real, done = zipfile.ZipFile.extract, []

    def extract(self: Any, member: Any, path: Any) -> str:
        done.append(member)
        if len(done) == 2:
            raise error
        return real(self, member, path)

    with monkeypatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "extract", extract)
        with pytest.raises(UserError if isinstance(error, OSError) else KeyboardInterrupt):
            fetch()
    assert beside() == {".new.fetch", ".new.fetch.lock"}
    fetch()
    assert file.asked == [""]
    assert beside() == {"new", "new.fetch.json", ".new.fetch.lock"}


def test_what_is_there_is_not_touched(file: Any) -> None:
    Path("data/new").mkdir(parents=True)
    Path("data/new/mine.txt").touch()
    with pytest.raises(UserError, match=r"there already and was not fetched; set corpus\.root"):
        fetch()
    Path("data/new/mine.txt").unlink()
    fetch()
    assert Path("data/new/wav").is_dir()


def test_one_process_at_a_time(file: Any) -> None:
    with owned(Path("data/.new.fetch.lock").absolute()), pytest.raises(UserError, match="process"):
        fetch()
    assert file.asked == []


def pointer(content: bytes) -> bytes:
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha(content)}\nsize {len(content)}\n"
    return text.encode()


@pytest.fixture
def lfs(server: Server, served: Any, audio: dict[str, bytes], table: Callable[..., None]) -> dict[str, Any]:
    """An archive of CREMA-D's shape, whose audio lies elsewhere; the audio by name."""
    table("cremad", members=["*/AudioWAV/*.wav"], pointers=f"{server[0]}/media/")
    names = ("1001_DFA_ANG_XX", "1002_DFA_SAD_LO", "1091_IEO_NEU_XX")
    paths = {f"AudioWAV/{name}.wav": content for name, content in zip(names, audio.values(), strict=True)}
    files = {f"CREMA-D-master/{path}": pointer(content) for path, content in paths.items()}
    server[1]["/a.zip"] = served(zipped(files | {"CREMA-D-master/AudioMP3/1001_DFA_ANG_XX.mp3": b"", "x.csv": b""}))
    for path, content in paths.items():
        server[1][f"/media/{path}"] = served(content)
    return {path: server[1][f"/media/{path}"] for path in paths}


def test_pointers_become_audio_by_their_own_checksums(lfs: dict[str, Any]) -> None:
    first, *others = lfs.values()
    whole, first.content = first.content, first.content[:-2] + b"!!"
    with pytest.raises(WrongBytesError, match=r"AudioWAV/1001_DFA_ANG_XX\.wav"):
        fetch("cremad")
    assert not Path("data/new").exists()
    first.content = whole
    fetch("cremad")
    assert [other.asked for other in others] == [[""], [""]]
    words = ["corpus=cremad", "corpus.root=data/new", "corpus.classes=[anger,neutral,sadness]"]
    assert len(scan_corpus(compose(words).config).utterances) == 3
    assert not [path for path in Path("data/new").rglob("*") if path.suffix in (".mp3", ".csv")]


def test_pointers_without_an_address(lfs: dict[str, Any], table: Callable[..., None]) -> None:
    table("cremad")
    with pytest.raises(UserError, match=r"3 files .* pointers, not audio, such as AudioWAV/1001_DFA_ANG_XX\.wav"):
        fetch("cremad")


def test_a_pointer_that_cannot_be_read(file: Any) -> None:
    file.content = zipped({"wav/03a01Fa.wav": b"version https://git-lfs.github.com/spec/v1\noid md5:7\n"})
    with pytest.raises(BrokenArchiveError, match=r"03a01Fa\.wav is a git-lfs pointer"):
        fetch()


def test_the_many_that_wait_are_not_fetched_after_an_error(
    lfs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, seen = list[str](), threading.Event()

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            seen.set()
            super().shutdown(wait)

    def failing(url: str, *_: object, **__: object) -> None:
        calls.append(url)
        if len(calls) == 1:
            raise DownloadError("gone")
        seen.wait()  # for the first one's error

    monkeypatch.setattr(unpacking, "AT_ONCE", 1)
    monkeypatch.setattr(unpacking, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(unpacking, "download", failing)
    with pytest.raises(DownloadError, match="gone"):
        fetch("cremad")
    assert len(calls) < len(lfs)


def test_corpora_that_are_not_to_be_had_and_bad_tables(table: Callable[..., None]) -> None:
    with pytest.raises(ConfigError, match=r"`savee` cannot be fetched \(known: cremad, emodb, ravdess\)"):
        fetch("savee")
    table(checksum="x")
    with pytest.raises(ConfigError, match=r"emodb\.yaml: .*checksum"):
        fetch()
    Path("data").mkdir()
    Path("data/new.fetch.json").write_text("{")
    table()
    with pytest.raises(UserError, match="damaged"):
        fetch()


def test_the_shipped_tables_name_a_licence_and_invent_no_checksum() -> None:
    shipped = choices("corpus/fetch", [packaged("conf")])
    assert set(shipped) == {"cremad", "emodb", "ravdess"}
    sources = [CorpusSource(**read(path)) for path in shipped.values()]
    assert all(source.licence and source.url.startswith("http") and source.sha256 is None for source in sources)
