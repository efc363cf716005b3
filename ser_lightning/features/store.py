"""The feature store: immutable segments named by their content, shared by readers and writers.

Layout: `<folder>/<extractor key>/extractor.json` (name, versions, parameters, dim: for people and for checking) and
`<SHA-256 of the file>.safetensors`, each packing many utterances: tensor name = digest of the audio, value = float32
(T, dim).
A segment is written under a hidden temporary name and renamed into place whole, so no locks are needed: two
writers of the same features cost time, never correctness.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import READING, Extractor, extractor_key
from ser_lightning.files import replacing, write_json

if TYPE_CHECKING:
    from torch import Tensor

DESCRIPTION = "extractor.json"
# A leading hexadecimal digit leaves out the hidden temporary files of writers, running or killed.
_SEGMENTS = "[0-9a-f]*.safetensors"
_TEMPORARY = "*/.*.tmp.*"

ABANDONED_AFTER = 24 * 3600
"""Age (s) at which a temporary file is taken for a killed writer's; writing one takes seconds."""


def segments(folder: Path) -> list[Path]:
    """The whole segments of one extractor's folder, in the order in which later ones win."""
    return sorted(folder.glob(_SEGMENTS))


def open_segment(path: Path) -> Any:
    """Map a segment; only its header is read, and checked against the file's length."""
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        remedy = "delete the file or run `ser features verify`, its features are then computed again"
        raise UserError(f"{path}: broken feature segment ({error}); {remedy}") from error


class Reader:
    """The features of one extractor, memory-mapped: digest -> float32 (T, dim).

    Sees the segments that existed when it was made. May be pickled; a worker process opens its own maps.

    Raises:
        UserError: a segment is broken (at construction).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # One table whose rows share what is a segment's: every process that reads has its own.
        self._places: dict[str, tuple[Path, Any]] = {}
        for path in segments(folder):
            segment = open_segment(path)
            self._places.update(dict.fromkeys(segment.keys(), (path, segment)))

    def __reduce__(self) -> tuple[type[Reader], tuple[Path]]:
        return Reader, (self.folder,)

    def __contains__(self, digest: object) -> bool:
        return digest in self._places

    def __getitem__(self, digest: str) -> Tensor:
        """float32 (T, dim); pages are read from disk when they are touched. KeyError if absent."""
        features: Tensor = self._places[digest][1].get_tensor(digest)
        return features

    def path(self, digest: str) -> Path:
        """The segment that the features are read from; others may hold them too. KeyError if absent."""
        return self._places[digest][0]

    def frames(self, digest: str) -> int:
        """Length T of an utterance, from the header alone. KeyError if absent."""
        length: int = self._places[digest][1].get_slice(digest).get_shape()[0]
        return length


class FeatureStore:
    """Features of any number of extractors under one folder, which may be shared by machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def folders(self) -> list[Path]:
        """The folders of all extractors that something was ever stored for."""
        return sorted({path.parent for name in (_SEGMENTS, DESCRIPTION) for path in self.folder.glob(f"*/{name}")})

    def folder_of(self, extractor: Extractor) -> Path:
        return self.folder / extractor_key(extractor)

    def reader(self, extractor: Extractor) -> Reader:
        """What is stored for `extractor` now; empty if nothing is."""
        return Reader(self.folder_of(extractor))

    def mark_used(self, extractor: Extractor) -> None:
        """Make the segments young, so that no collection removes them before this process has opened them.

        Their description is written again if it is gone.
        """
        found = segments(self.folder_of(extractor))
        # What is another user's or has just been removed stays as it is; `missing` then says what is there.
        with suppress(OSError):
            if found:
                self._describe(extractor, self.folder_of(extractor))
        for path in found:
            with suppress(OSError):
                os.utime(path)

    def missing(self, extractor: Extractor, digests: Iterable[str]) -> list[str]:
        """Those of `digests` that are not stored, each once, in their order."""
        reader = self.reader(extractor)
        return [digest for digest in dict.fromkeys(digests) if digest not in reader]

    def add(self, extractor: Extractor, features: Mapping[str, Tensor]) -> None:
        """Store one segment: digest -> float32 (T, dim). It exists whole when this returns, or not at all.

        Temporary files of writers that were killed are removed after a day.

        Raises:
            UserError: the disk is full or the folder cannot be written; nothing is left behind.
        """
        from safetensors.torch import save

        data = save({digest: tensor.contiguous() for digest, tensor in features.items()})
        folder = self.folder_of(extractor)
        self._sweep()
        try:
            self._describe(extractor, folder)
            with replacing(folder / f"{hashlib.sha256(data).hexdigest()}.safetensors") as temporary:
                temporary.write_bytes(data)
        except OSError as error:
            raise UserError(
                f"{folder}: cannot write {len(data) / 2**20:.1f} MiB of features ({error.strerror}); "
                f"free some space there or set another folder for the feature store"
            ) from error

    def abandoned(self) -> Iterator[Path]:
        """What killed writers left behind."""
        for path in self.folder.glob(_TEMPORARY):
            with suppress(OSError):  # another process was quicker
                if path.stat().st_mtime < time.time() - ABANDONED_AFTER:
                    yield path

    def _sweep(self) -> None:
        for path in self.abandoned():
            # Another writer may have been quicker, and another user's file may not be ours to remove.
            with suppress(OSError):
                path.unlink()

    @staticmethod
    def _describe(extractor: Extractor, folder: Path) -> None:
        path = folder / DESCRIPTION
        if not path.exists():
            identity = {"name": extractor.name, "version": extractor.version, "reading": READING, "dim": extractor.dim}
            write_json(path, identity | {"parameters": extractor.parameters})
