"""The files that a table's rows name: where they lie, what the utterance is called, and why a file isn't found."""

import os
import re
import unicodedata
from pathlib import Path, PurePosixPath

from ser_lightning.names import clean

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


class PathError(Exception):
    """What a row names is no file; `path` is where it was looked for, None where it can't be a path."""

    def __init__(self, detail: str, path: Path | None = None) -> None:
        super().__init__(detail)
        self.path = path


def id_of(written: str) -> str:
    """The path as the table writes it, without suffix: it stays what it is wherever the table lies."""
    return clean(PurePosixPath(os.path.normpath(written)).with_suffix("").as_posix())


def located(table: Path, written: str) -> Path:
    """The absolute path of the file that a row of `table` names; relative ones start at the table's folder.

    Raises:
        PathError: it is no path, or there is no file; the message says why, and what to write instead.
    """
    if "\0" in written:
        raise PathError("its path holds a NUL byte: part of the table is no text; write it anew")
    if ADDRESS.match(written):
        raise PathError(f"`{written}` is an address, and a table names files: fetch it and write the file's path")
    try:
        path = Path(os.path.normpath(table.parent / Path(written).expanduser()))
    except RuntimeError as error:
        user = written.partition("/")[0]
        raise PathError(f"`{written}`: this machine knows no home of `{user}`; write ./{written} for a file") from error
    try:
        if path.is_file():
            return path
        reason = "is a folder" if path.is_dir() else "is no regular file" if path.exists() else ""
    except OSError as error:  # a path that is too long, or below a folder that can't be read
        shown = written if len(written) <= 60 else f"{written[:60]}... ({len(written)} characters)"
        raise PathError(f"`{shown}` can't be looked for: {error.strerror}") from error
    raise PathError(f"`{written}` {reason or _why(table, path, written)}", path)


def _why(table: Path, path: Path, written: str) -> str:
    if path.is_symlink():
        return "is a link to nothing"
    if "$" in written:
        return "has a dollar sign, and tables have no variables: write the path out"
    if "\\" in written:
        return f"has backslashes, which part folders on Windows only; write {_with_slashes(written)}"
    for form in ("NFC", "NFD"):
        if (other := Path(unicodedata.normalize(form, str(path)))) != path and other.is_file():
            return f"is there in another Unicode form ({form}); write the name as the file has it"
    if (other := Path(clean(str(path)))) != path and other.is_file():
        return "has an invisible character, which the file's name has not"
    if Path(written).is_absolute() or written.startswith("~"):
        return "is not there"
    here = "; there is one below the working directory, which does not count" if Path(written).is_file() else ""
    return f"is not below {table.parent}, where relative paths of this table start{here}"


def _with_slashes(written: str) -> str:
    return re.sub(r"^[A-Za-z]:", "...", written).replace("\\", "/")
