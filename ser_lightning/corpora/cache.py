"""Audio digests kept by path, size and modification time, so that an unchanged file is read once."""

import json
from dataclasses import astuple
from pathlib import Path
from typing import Any

from ser_lightning.console import console
from ser_lightning.corpora.audio import Audio
from ser_lightning.files import write_text

VERSION = 1
"""Raised when the digest or what is kept changes."""


class AudioCache:
    """One JSON file; losing it costs time only, so writers merge and do not lock."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "audio_digests.json"
        self.known = self._read()
        self.new: dict[str, tuple[int, int, Audio]] = {}

    def get(self, path: Path) -> Audio | None:
        """Return what is known of the file as it is now."""
        size, mtime, audio = self.known.get(str(path), (-1, -1, None))
        try:
            now = path.stat()
        except OSError:  # told by whoever tries to read it
            return None
        return audio if (size, mtime) == (now.st_size, now.st_mtime_ns) else None

    def put(self, path: Path, size: int, mtime_ns: int, audio: Audio) -> None:
        """Keep `audio` under the size and time that the file had BEFORE it was read."""
        self.new[str(path)] = (size, mtime_ns, audio)

    def save(self) -> None:
        """Add what is new to what other processes have written meanwhile."""
        if self.new:
            files = self._read() | self.new
            rows = {path: [size, mtime, *astuple(audio)] for path, (size, mtime, audio) in files.items()}
            write_text(self.file, json.dumps({"version": VERSION, "files": rows}))

    def _read(self) -> dict[str, tuple[int, int, Audio]]:
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


def _parse(size: Any, mtime: Any, digest: str, *rest: Any) -> tuple[int, int, Audio]:
    peak, frames, rate, channels = rest
    if len(bytes.fromhex(digest)) != 32:
        raise ValueError(f"not a SHA-256 digest: {digest}")
    return int(size), int(mtime), Audio(digest, float(peak), int(frames), int(rate), int(channels))
