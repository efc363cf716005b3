"""Audio digests kept by path, size and times, so that an unchanged file is read once."""

import json
import os
from collections.abc import Iterable
from dataclasses import astuple
from pathlib import Path
from typing import Any

from ser_lightning.console import console
from ser_lightning.corpora.audio import Audio
from ser_lightning.corpora.levels import Levels
from ser_lightning.files import write_text

VERSION = 2
"""Raised when the digest or what is kept changes."""

State = tuple[int, int, int]
"""Size (bytes), and the times (ns) of the last change of content and of anything: only the second can't be set back."""


class AudioCache:
    """One JSON file; losing it costs time only, so writers merge and do not lock."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audio_digests.json"
        self.known = self._read()
        self.new: dict[str, tuple[State, Audio]] = {}

    def get(self, path: Path) -> Audio | None:
        """Return what is known of the file as it is now."""
        state, audio = self.known.get(str(path), (None, None))
        try:
            now = path.stat()
        except OSError:  # told by whoever tries to read it
            return None
        return audio if state == _state(now) else None

    def put(self, path: Path, before: os.stat_result, audio: Audio) -> None:
        """Keep `audio` under the state that the file had BEFORE it was read."""
        self.new[str(path)] = (_state(before), audio)

    def save(self) -> None:
        """Add what is new to what other processes have written meanwhile."""
        if self.new:
            self._write(self._read() | self.new)

    def forget(self, paths: Iterable[Path]) -> None:
        """Have files read again: on a storage that keeps no time of change, their content alone shows one."""
        names = {str(path) for path in paths}
        files = self._read()
        if names & files.keys():
            self._write({name: kept for name, kept in files.items() if name not in names})

    def _write(self, files: dict[str, tuple[State, Audio]]) -> None:
        rows = {path: [*state, *astuple(audio)] for path, (state, audio) in files.items()}
        write_text(self.file, json.dumps({"version": VERSION, "files": rows}))

    def _read(self) -> dict[str, tuple[State, Audio]]:
        if not self.file.exists():
            return {}
        try:
            content = json.loads(self.file.read_text(encoding="utf-8"))
            if content["version"] == VERSION:
                return {path: _parse(*row) for path, row in content["files"].items()}
            reason = "is of another version"
        except (ValueError, KeyError, TypeError, AttributeError):
            reason = "is damaged"
        console.print(f"{self.file} {reason}: every audio file is read again", markup=False, soft_wrap=True)
        self.file.unlink(missing_ok=True)
        return {}


def _state(of: os.stat_result) -> State:
    return of.st_size, of.st_mtime_ns, of.st_ctime_ns


def _parse(size: Any, mtime: Any, ctime: Any, digest: str, levels: Any, *rest: Any) -> tuple[State, Audio]:
    frames, rate, channels = map(int, rest)
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError(f"not a SHA-256 digest: {digest}")
    return (int(size), int(mtime), int(ctime)), Audio(digest, Levels(*map(float, levels)), frames, rate, channels)
