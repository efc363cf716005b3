"""What every corpus adapter is, and how audio files are found below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ser_lightning.corpora.utterance import Entry, Problem
from ser_lightning.errors import UserError

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
    """Return `root` as an absolute path; raises UserError where there is nothing."""
    path = Path(root).absolute()
    if not path.exists():
        raise UserError(f"corpus.root: {path} does not exist; set corpus.root=... to where the corpus lies")
    return path


def audio_files(root: Path) -> Iterator[Path]:
    """Yield .wav and .flac files below `root` in sorted order, without hidden files and macOS leftovers."""
    seen: set[str] = set()
    # Path.rglob stops at linked folders, which are common on shared storage; `seen` ends circles of links.
    for folder, folders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__MACOSX")
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(folder, name)
