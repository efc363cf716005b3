"""What every corpus adapter is, and how audio files are found below a folder."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError, listed

SUFFIXES = (".wav", ".flac")


class Adapter(Protocol):
    """A dataclass that knows the names of one corpus.

    `labels` maps the corpus's own codes to class names; `classes` are the classes to use, in the order of the
    logits. An entry whose label is not among `classes` is left out and counted by the scan.
    """

    root: str
    classes: list[str]
    labels: dict[str, str]

    def entries(self) -> Iterator[Entry | Problem]:
        """Yield what the names say, reading no audio; raises UserError where `root` does not exist."""
        ...


def existing(root: str) -> Path:
    """Return `root` as an absolute path; raises UserError where there is nothing, or nothing can be known."""
    path = Path(root).absolute()
    if mode(path) is None:
        raise UserError(f"corpus.root: {path} does not exist; set corpus.root=... to where the corpus lies")
    return path


def mode(path: Path) -> int | None:
    """What is there, for `stat.S_ISDIR` and its like; None is nothing.

    Raises:
        UserError: that can't be known, for want of rights or of an answer: to go on would leave files out silently.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(_unreadable([error])) from error


def folder(root: Path, name: str) -> Path:
    """The folder `name` in `root` where there is one, else `root`; raises what `mode` raises."""
    return root / name if stat.S_ISDIR(mode(root / name) or 0) else root


def names(folder: Path) -> list[str]:
    """What is in a folder, sorted, where it is there; raises what `mode` raises."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(_unreadable([error])) from error


def audio_files(root: Path) -> Iterator[Path]:
    """Yield .wav and .flac files below `root` in sorted order, without hidden files and macOS leftovers.

    Raises:
        UserError: at the end, naming every folder that can't be read.
    """
    seen: set[str] = set()
    errors: list[OSError] = []
    # Path.rglob stops at linked folders, which are common on shared storage; `seen` ends circles of links.
    for folder, folders, names in os.walk(root, followlinks=True, onerror=errors.append):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not _left_out(name))
        for name in sorted(name for name in names if not _left_out(name)):
            if name.lower().endswith(SUFFIXES):
                yield Path(folder, name)
            elif not Path(name).suffix:
                errors += _lost_link(Path(folder, name))
    if errors:
        raise UserError(_unreadable(errors))


def _left_out(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _lost_link(path: Path) -> Iterator[OSError]:
    """Why a link, perhaps to a folder of audio, can't be followed."""
    try:
        if path.is_symlink():
            path.stat()
    except OSError as error:
        yield error


def _unreadable(errors: list[OSError]) -> str:
    remedy = "mend access to it, or take it out of the corpus"
    if len(errors) == 1:
        return f"{errors[0].filename}: cannot be read ({errors[0].strerror}); {remedy}"
    lines = [f"{error.filename}: {error.strerror}" for error in errors]
    return "\n  ".join([f"{len(errors)} cannot be read; {remedy}:", *listed(lines)])
