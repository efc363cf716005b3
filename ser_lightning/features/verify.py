"""Whether the store still holds what was written: disks and copies flip bits and cut files short."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.console import track
from ser_lightning.errors import UserError
from ser_lightning.features.extractor import key_of
from ser_lightning.features.store import DESCRIPTION, FeatureStore, open_segment, segments


@dataclass(frozen=True)
class Bad:
    """A file of the store that is not what it must be, and why."""

    path: Path
    reason: str


def bad_files(store: FeatureStore) -> Iterator[Bad]:
    """Read every file of the store, whatever configuration it was made for.

    A segment must have the SHA-256 that it is named by and hold float32 (T, dim) only; the description beside it must
    have the key that their folder is named by.

    Raises:
        UserError: a file cannot be read at all; nothing is known of it.
    """
    files = [path for folder in store.folders() for path in (folder / DESCRIPTION, *segments(folder))]
    for path in track(files, "verifying features", len(files)):
        try:
            reason = _check_description(path) if path.name == DESCRIPTION else _check_segment(path)
        except FileNotFoundError:  # removed by another process since it was listed
            continue
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); mend access to it, or delete it") from error
        if reason:
            yield Bad(path, reason)


def _check_description(path: Path) -> str:
    if not path.exists():
        return "is missing: nothing says how wide the features beside it are"
    return "" if _dim(path) else "does not describe the extractor that its folder is named by"


def _dim(path: Path) -> int | None:
    """How wide a good description says that the features beside it are."""
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        key = key_of(content["name"], content["version"], content["parameters"], content.get("reading", 1))
        return int(content["dim"]) if key == path.parent.name else None
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _check_segment(path: Path) -> str:
    with path.open("rb") as source:
        if hashlib.file_digest(source, "sha256").hexdigest() != path.stem:
            return "does not have the SHA-256 that it is named by: it was cut short or changed"
    try:
        segment = open_segment(path)
    except UserError:
        return "is no feature segment"
    dim = _dim(path.parent / DESCRIPTION)
    for digest in segment.keys():  # noqa: SIM118  it is no mapping
        tensor = segment.get_slice(digest)
        kind, shape = tensor.get_dtype(), tensor.get_shape()
        if kind != "F32" or len(shape) != 2 or shape[1] != (dim or shape[1]):
            return f"holds {kind} {tuple(shape)} for {digest}, not F32 (T, {dim or 'dim'})"
    return ""
