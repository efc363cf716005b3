"""The files of an IEMOCAP release: agreed labels, audio and transcriptions, joined by the turn's id."""

import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ser_lightning.corpora.adapter import mode, names
from ser_lightning.corpora.utterance import Problem

NAME = re.compile(r"Ses(?P<session>0[1-5])[FM]_(?P<dialogs>impro|script)\w*_(?P<speaker>[FM])[0-9X]+")
LABEL = re.compile(r"\[\d+\.\d+ - \d+\.\d+\]\t(?P<id>\w+)\t(?P<code>\w+)\t\[")
SPOKEN = re.compile(r"(?P<id>\w+) \[[^\]]*\]:(?P<text>.*)")
DIALOGS = {"impro": "improvised", "script": "scripted"}


@dataclass(frozen=True)
class Turn:
    """One labelled turn; `code` is the agreed emotion, `source` the label file, `path` where its audio belongs."""

    id: str
    session: str
    speaker: str
    dialogs: str
    code: str
    text: str
    path: Path
    source: Path

    @cached_property
    def there(self) -> bool:
        """Whether the audio file exists."""
        return _is_file(self.path)


def turns(root: Path) -> Iterator[Turn | Problem]:
    """Yield the turns of all label files below `root`, and what in these files cannot be read."""
    for number in range(1, 6):
        session = root / f"Session{number}"
        # No deeper: folders beside the label files hold single annotators' votes in files of the same names.
        folder = session / "dialog/EmoEvaluation"
        for name in names(folder):
            if name.endswith(".txt") and not name.startswith("."):
                yield from _dialog(session, folder / name)


def _dialog(session: Path, source: Path) -> Iterator[Turn | Problem]:
    texts = _texts(session / "dialog/transcriptions" / source.name)
    for number, line in enumerate(_lines(source), start=1):
        if line.startswith("["):
            match = LABEL.match(line)
            yield (
                _turn(session, source, match, texts)
                if match
                else Problem("row", source, f"line {number} is no label: {line[:60]!r}")
            )


def _turn(session: Path, source: Path, label: re.Match[str], texts: dict[str, str]) -> Turn | Problem:
    name = NAME.fullmatch(label["id"])
    if name is None:
        return Problem("misnamed", source, f"{label['id']} is not an IEMOCAP id such as Ses01F_impro01_F000")
    if session.name != f"Session{int(name['session'])}":
        return Problem("misnamed", source, f"{label['id']} says session {name['session']}, the folder {session.name}")
    return Turn(
        id=label["id"],
        session=name["session"],
        speaker=name["session"] + name["speaker"],
        dialogs=DIALOGS[name["dialogs"]],
        code=label["code"],
        text=texts.get(label["id"], ""),
        path=session / "sentences/wav" / label["id"].rpartition("_")[0] / f"{label['id']}.wav",
        source=source,
    )


def _texts(path: Path) -> dict[str, str]:
    """Transcriptions by id; lines without one, such as `F: ...`, are remarks."""
    if not _is_file(path):
        return {}
    return {match["id"]: match["text"].strip() for line in _lines(path) if (match := SPOKEN.match(line))}


def _is_file(path: Path) -> bool:
    return stat.S_ISREG(mode(path) or 0)


def _lines(path: Path) -> list[str]:
    # A stray byte of another encoding spoils its own word, not the corpus.
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
