"""Fetching a freely licensed corpus: its licence, its archive, its folder, and a record of what it was beside it."""

import json
import secrets
import shutil
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ser_lightning.config.schema import Config
from ser_lightning.config.shapes import made
from ser_lightning.config.sources import choices, read, search_path
from ser_lightning.console import console
from ser_lightning.corpora.download import WrongBytesError, download
from ser_lightning.corpora.unpack import BrokenArchiveError, fill_pointers, unpack
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.files import write_json
from ser_lightning.processes.lock import owned


@dataclass(frozen=True)
class CorpusSource:
    """Where a corpus comes from, as a YAML file under conf/corpus/fetch says."""

    licence: str
    """What one agrees to by using the corpus; shown before anything is downloaded."""
    page: str
    """The corpus's own page, for people."""
    url: str
    """Address of the ZIP archive."""
    sha256: str | None = None
    """The archive's SHA-256 where its publisher or you know it; null: computed, shown and recorded."""
    members: list[str] = field(default_factory=list)
    """Patterns of the files to unpack; none: all."""
    pointers: str | None = None
    """What stands before the path of a file that the archive holds as a git-lfs pointer only."""


def record_path(root: Path) -> Path:
    """The record lies beside the folder, so that it outlives it and the next download is compared with it."""
    return root.with_name(f"{root.name}.fetch.json")


def fetch(source: CorpusSource, root: Path) -> Path:
    """Show the licence, then download and unpack into `root`, which appears whole or not at all; returns `root`.

    What was downloaded of an attempt that failed is kept in a hidden folder beside `root` and gone on with.

    Raises:
        UserError: `root` holds something else, or what `download` and `unpack` say.
    """
    console.print(f"{source.page}\nlicence: {source.licence}", style="bold", markup=False, soft_wrap=True)
    record = _record(root)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        return _kept(root, record)
    work = root.with_name(f".{root.name}.fetch")
    try:
        work.mkdir(parents=True, exist_ok=True)
        digest = _unpacked(source, root, work, _expected(source, record))
        shutil.rmtree(work)
    except OSError as error:
        raise UserError(f"{root}: {error}; mend that and run the command again, which goes on") from error
    _say(root, digest)
    return root


def _record(root: Path) -> dict[str, Any]:
    path = record_path(root)
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}); remove it to fetch without comparing") from error


def _kept(root: Path, record: dict[str, Any]) -> Path:
    if not record:
        raise UserError(f"{root} is there already and was not fetched; set corpus.root=... to a new folder")
    text = f"{root}: fetched on {record['fetched']} from {record['url']}; remove it to fetch it again"
    console.print(text, markup=False, soft_wrap=True)
    return root


def _expected(source: CorpusSource, record: dict[str, Any]) -> str | None:
    return source.sha256 or (record.get("sha256") if record.get("url") == source.url else None)


def _unpacked(source: CorpusSource, root: Path, work: Path, expected: str | None) -> str:
    archive = work / "archive.zip"
    try:
        digest = download(source.url, archive, expected)
    except WrongBytesError as error:
        known = "the table of the source" if source.sha256 else str(record_path(root))
        raise WrongBytesError(
            f"{error} The expected one is from {known}: if the publisher has changed the file, remove it there"
        ) from error
    folder = work / f"unpacked-{secrets.token_hex(4)}"
    folder.mkdir()
    try:
        unpack(archive, folder, source.members)
        fill_pointers(folder, source.pointers, work / "audio")
        write_json(record_path(root), _new_record(source, digest, archive))
        folder.rename(root)
    except BrokenArchiveError as error:
        archive.unlink()
        raise BrokenArchiveError(f"{source.url}: {error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return digest


def _new_record(source: CorpusSource, digest: str, archive: Path) -> dict[str, Any]:
    return {
        "url": source.url,
        "sha256": digest,
        "bytes": archive.stat().st_size,
        "licence": source.licence,
        "fetched": datetime.now(UTC).date().isoformat(),
    }


def _say(root: Path, digest: str) -> None:
    text = f"SHA-256 of the archive: {digest}, recorded in {record_path(root)}\n{root}: complete"
    console.print(text, markup=False, soft_wrap=True)


def fetch_corpus(config: Config) -> Path:
    """`ser corpus fetch`: download the configuration's corpus into `corpus.root`.

    Raises:
        UserError: nothing says where the corpus is to be had, another process fetches it, or what `fetch` says.
    """
    root = Path(config.corpus["root"]).absolute()
    source = _source(config.corpus["name"])
    with owned(root.with_name(f".{root.name}.fetch.lock")):
        return fetch(source, root)


def _source(name: str) -> CorpusSource:
    """The table of a corpus's source: the user's own under conf/corpus/fetch where they stand, or the packaged one."""
    tables = choices("corpus/fetch", search_path(None))
    if name not in tables:
        raise ConfigError(
            f"corpus `{name}` cannot be fetched (known: {', '.join(tables)}): ask its owners for it, or write "
            f"conf/corpus/fetch/{name}.yaml with licence, page and url"
        )
    return made(CorpusSource, read(tables[name]), tables[name])
