"""What nobody needs of the store."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore, segments

YOUNG = 3600
"""Age (s) below which a segment is left alone: another process may have just written it, or be about to open it."""


@dataclass(frozen=True)
class Unused:
    """Files to remove with their bytes, and how many more are unneeded but young."""

    old: Mapping[Path, int]
    young: int


def find_unused(store: FeatureStore, extractors: Iterable[Extractor], digests: Sequence[str]) -> Unused:
    """The segments that no `extractors` read for any of `digests`, and what killed writers left.

    A segment whose needed features are all in others (two processes once computed the same) is unneeded, one with a
    single needed utterance is not.

    Raises:
        UserError: a segment that may be needed is broken.
    """
    needed = {path for extractor in extractors for path in _read(store, extractor, digests)}
    spare = [path for folder in store.folders() for path in segments(folder) if path not in needed]
    old = {path: stat.st_size for path in (*spare, *store.abandoned()) if (stat := _old(path))}
    return Unused(old, sum(path not in old for path in spare))


def still_old(found: Unused) -> Iterator[Path]:
    """The files to remove, but for what a process has come to need since they were found: ask right before removing."""
    return (path for path in found.old if _old(path))


def _read(store: FeatureStore, extractor: Extractor, digests: Sequence[str]) -> set[Path]:
    reader = store.reader(extractor)
    return {reader.path(digest) for digest in digests if digest in reader}


def _old(path: Path) -> os.stat_result | None:
    """Size and time of a file that is still there and not young."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat if stat.st_mtime < time.time() - YOUNG else None
