"""Unpacking a corpus's archive, and putting the audio in place of git-lfs pointers."""

import re
import shutil
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from ser_lightning.console import track
from ser_lightning.corpora.adapter import audio_files
from ser_lightning.corpora.audio import POINTER
from ser_lightning.corpora.download import download
from ser_lightning.errors import UserError

POINTER_TEXT = re.compile(rb"version https://git-lfs\S+\n(?:ext-.*\n)*oid sha256:([0-9a-f]{64})\nsize \d+\n?")
LONGEST_POINTER = 1024
"""Bytes, by git-lfs's specification."""
AT_ONCE = 8


class BrokenArchiveError(UserError):
    """What was downloaded is no whole ZIP archive with audio in it."""


def unpack(archive: Path, folder: Path, members: list[str]) -> None:
    """Unpack what matches one of the patterns `members` (all, where there are none) into the empty `folder`.

    Raises:
        BrokenArchiveError: it is no ZIP archive, is cut short, fails its own checksums, names files outside of
            itself, or holds no audio that matches.
    """
    try:
        with zipfile.ZipFile(archive) as content:
            infos = [info for info in content.infolist() if _wanted(info.filename, members)]
            for info in track(infos, "unpacking", len(infos)):
                _refuse_outside(info.filename)
                content.extract(info, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise BrokenArchiveError(f"what was downloaded is no whole ZIP archive ({error}); it was removed") from error
    if not any(audio_files(folder)):
        wanted = f" that matches {', '.join(members)}" if members else ""
        raise BrokenArchiveError(f"the archive that was downloaded holds no audio{wanted}; it was removed")


def _wanted(name: str, members: list[str]) -> bool:
    return not members or any(fnmatchcase(name, pattern) for pattern in members)


def _refuse_outside(name: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts:
        raise BrokenArchiveError(f"the archive names a file outside of itself, {name}; it was removed")


@dataclass(frozen=True)
class Pointer:
    """A file that stands for audio; `digest` is the audio's SHA-256."""

    path: Path
    digest: str
    name: str


def fill_pointers(folder: Path, base: str | None, store: Path) -> int:
    """Put the audio in place of the git-lfs pointers below `folder`; returns how many there were.

    A pointer says the SHA-256 of its audio, which lies at `base` and the pointer's path within the archive's top
    folder. `store` keeps what has arrived, for another try.

    Raises:
        UserError: there are pointers and no `base`.
        DownloadError, WrongBytesError: see `download`.
    """
    pointers = [pointer for path in audio_files(folder) if (pointer := _pointer(path, folder))]
    if pointers and base is None:
        raise UserError(
            f"{len(pointers)} files of the archive are git-lfs pointers, not audio, such as {pointers[0].name}; "
            "set `pointers` in the table of the source to the address of the audio"
        )
    audio = {pointer.digest: f"{base}{quote(pointer.name)}" for pointer in pointers}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        arriving = pool.map(lambda item: download(item[1], store / item[0], item[0], show=False), audio.items())
        try:
            for _ in track(arriving, "fetching audio", len(audio)):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    for pointer in pointers:
        shutil.copyfile(store / pointer.digest, pointer.path)
    return len(pointers)


def _pointer(path: Path, folder: Path) -> Pointer | None:
    if path.stat().st_size > LONGEST_POINTER:
        return None
    text = path.read_bytes()
    if not text.startswith(POINTER):
        return None
    match = POINTER_TEXT.fullmatch(text)
    if match is None:
        raise BrokenArchiveError(f"{path.name} is a git-lfs pointer that cannot be read; the archive was removed")
    return Pointer(path, match[1].decode(), PurePosixPath(*path.relative_to(folder).parts[1:]).as_posix())
