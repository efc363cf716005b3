"""What a person sees: messages and progress on standard error, results on standard output.

What is printed is data as often as words: names of folders, labels, errors of others. None of it is read as rich's
markup, and only in a terminal is a table narrowed, a line broken or anything drawn anew.
"""

import codecs
import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TypeVar

from rich.console import Console, ConsoleDimensions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

WIDE = 10_000
"""Columns where no terminal sets them: a table is as wide as what it holds."""
PLAIN = {"±": "+-", "…": "..."}
"""What is written where the characters cannot be."""


class Screen(Console):
    """Rich's console, for which a terminal is one that can move its cursor, and nothing else is one.

    For rich FORCE_COLOR and TTY_COMPATIBLE make a terminal of a file, which bars would then fill.
    """

    def __init__(self, stderr: bool, markup: bool = False) -> None:
        super().__init__(stderr=stderr, markup=markup, highlight=False, emoji=False)

    @property
    def is_terminal(self) -> bool:
        if self.is_jupyter or os.environ.get("TERM", "").lower() in ("dumb", "unknown"):
            return False
        with suppress(AttributeError, ValueError):  # it is no stream, or closed
            return self.file.isatty()
        return False

    @property
    def encoding(self) -> str:
        """Of the stream, where rich takes UTF-8 for granted: boxes are drawn of what it can write."""
        return (getattr(self.file, "encoding", None) or "utf-8").lower()

    @property
    def size(self) -> ConsoleDimensions:
        found = super().size
        return found if self._width is not None or self.is_terminal else ConsoleDimensions(WIDE, found.height)

    @size.setter
    def size(self, given: tuple[int, int]) -> None:
        self._width, self._height = given

    def on_broken_pipe(self) -> None:
        """Nobody reads the messages any more: the work goes on. Without its results it has no more to do."""
        self.quiet = True
        if not self.stderr:
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


console = Screen(stderr=True)
"""Messages and progress, so that standard output stays usable in pipes."""
results = Screen(stderr=False)
"""What a verb was asked for."""

Item = TypeVar("Item")


def say(text: str | Text, style: str = "") -> None:
    """A message, as it stands and unbroken."""
    console.print(text, style=style or None, soft_wrap=True)


def answer(found: RenderableType, style: str = "") -> None:
    """A result: text as it stands and unbroken, or a table."""
    results.print(found, style=style or None, soft_wrap=isinstance(found, str | Text))


def track(items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """Yield `items`, in a terminal under a progress bar labelled `what`; no bar for nothing to do."""
    if total == 0 or not console.is_terminal:
        yield from items
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        yield from progress.track(items, total=total, description=what)


def any_text() -> None:
    """Let the standard streams write every text: a name that is no UTF-8 as its bytes, else the code of a character."""
    codecs.register_error("as it stands", _as_it_stands)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # it is no file
            stream.reconfigure(errors="as it stands")  # type: ignore[union-attr]


def _as_it_stands(error: UnicodeError) -> tuple[str | bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    if 0xDC80 <= ord(character) <= 0xDCFF:  # of os.fsdecode: a byte of a name
        return bytes([ord(character) - 0xDC00]), error.start + 1
    return PLAIN.get(character) or character.encode("ascii", "backslashreplace").decode(), error.start + 1


def written() -> None:
    """Write what the streams still hold.

    Raises:
        OSError: a full disk, or nobody reads it; what it is about is then forgotten, and the exit stays quiet.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError) as error:
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if isinstance(error, OSError) and stream is sys.stdout:
                raise
