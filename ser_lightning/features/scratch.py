"""Features on a node's own disk: the segments that a training reads are copied there, once a node.

The folder is laid out like a store, so a copy is known by its content's name: it is used again by whoever needs it, and
never stale. What is left there goes with the job where the cluster clears such folders, else by
`ser features gc --remove cache_dir=FOLDER` on that node.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ser_lightning.errors import UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore, Reader
from ser_lightning.files import replacing
from ser_lightning.waiting import announced

BLOCK = 2**24
"""Bytes copied at a time."""


def expanded(written: str) -> Path:
    """The folder that `scratch_dir` means on this node: `$SLURM_TMPDIR` is another one in every job.

    Raises:
        UserError: a variable is not set here.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        known = os.environ.get(name)
        if not known:
            raise UserError(
                f"scratch_dir={written}: the variable {name} is not set here; name a folder that this node has, or "
                "scratch_dir=null reads the shared store"
            )
        return known

    return Path(re.sub(r"\$(?:(\w+)|\{(\w+)\})", value, written)).absolute()


def copied(store: FeatureStore, extractor: Extractor, digests: Iterable[str], scratch: Path) -> Reader:
    """A reader of the copy under `scratch` of all segments that hold features of `digests`, as far as they are stored.

    Processes that need the same at once wait for the first; each copy is put in place whole.

    Raises:
        UserError: the copy cannot be written, or a segment is not what it is named by.
    """
    reader = store.reader(extractor)
    needed = sorted({reader.path(digest) for digest in digests if digest in reader})
    local = FeatureStore(scratch / "features")
    folder = local.folder_of(extractor)
    try:
        with _one_at_a_time(folder):
            local.mark_used(extractor)
            _copy_missing(needed, folder)
            local.mark_used(extractor)
    except OSError as error:
        raise UserError(
            f"scratch_dir: {folder}: cannot take the {_mib(needed):.1f} MiB of features that this training reads "
            f"({error.strerror or error}); name another folder, or scratch_dir=null reads the shared store"
        ) from error
    return local.reader(extractor)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".copying").open("w") as lock:
        # Without locks the same is copied more than once, and no worse.
        with suppress(OSError), announced(f"another process to copy features to {folder}"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _copy_missing(needed: Sequence[Path], folder: Path) -> None:
    for source in needed:
        target = folder / source.name
        if not target.exists() or target.stat().st_size != source.stat().st_size:
            _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    digest = hashlib.sha256()
    with replacing(target) as temporary, source.open("rb") as read, temporary.open("wb") as written:
        while block := read.read(BLOCK):
            digest.update(block)
            written.write(block)
        if digest.hexdigest() != source.stem:
            raise UserError(
                f"{source}: broken feature segment: it does not have the SHA-256 that it is named by; run "
                "`ser features verify`, its features are then computed again"
            )


def _mib(files: Iterable[Path]) -> float:
    return sum(path.stat().st_size for path in files) / 2**20
