"""What wandb wrote: a folder for each start of a run, which holds the log of all that was sent or would have been."""

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HEADER, BLOCK, FULL, LAST = 7, 32768, 1, 4
"""Bytes before the first block and of a block; kinds of a piece that end a record (2 and 3 begin it and go on)."""
FOLDERS = "wandb/*run-*"
"""Of what ran in a folder; `latest-run` is a link to one of them."""


def records(log: Path) -> Iterator[Any]:
    """The records of a `.wandb` file, up to where it was cut short or spoilt, as by a node that lost its power.

    It is LevelDB's log format after wandb's own header.
    """
    # Here, because wandb makes temporary folders when it is imported, and a run without W&B needs none.
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from wandb.proto import wandb_internal_pb2

    messages: Any = wandb_internal_pb2  # its classes are made when it is imported, so that no type is known of them
    data, position, begun = log.read_bytes(), HEADER, b""
    while position + 7 <= len(data):
        left = BLOCK - position % BLOCK
        _, size, kind = struct.unpack("<IHB", data[position : position + 7]) if left >= 7 else (0, 0, 0)
        if kind == 0:  # a block's unused end
            position += left
            continue
        piece = data[position + 7 : position + 7 + size]
        position += 7 + size
        if len(piece) < size:
            return
        begun = piece if kind in (FULL, 2) else begun + piece
        if kind in (FULL, LAST):
            record = messages.Record()
            try:
                record.ParseFromString(begun)
            except DecodeError:
                return
            yield record


@dataclass(frozen=True)
class Segment:
    """One start of a run: the folder `<where it ran>/wandb/run-<time>-<id>`, or `offline-run-<time>-<id>`."""

    path: Path

    @cached_property
    def log(self) -> Path:
        # Two starts within a second have folders whose names end in -1, -2, as if that were part of the id.
        return next(self.path.glob("run-*.wandb"), self.path / f"run-{self._name.split('-', 2)[2]}.wandb")

    @property
    def _name(self) -> str:
        return self.path.name.removeprefix("offline-")

    @property
    def online(self) -> bool:
        """Whether it was sent while it was written."""
        return self._name == self.path.name

    @property
    def id(self) -> str:
        """W&B's id of the run, which all of its segments share."""
        return self.log.stem.removeprefix("run-")

    @property
    def synced(self) -> Path:
        """The file by which wandb knows that the segment was uploaded; an online one has it from us."""
        return self.log.with_suffix(".wandb.synced")

    @cached_property
    def opened(self) -> Any | None:
        """Who the run is; None where the process was killed before anything of it was on disk."""
        if not self.log.exists():
            return None
        return next((record.run for record in records(self.log) if record.HasField("run")), None)

    @property
    def ended(self) -> bool:
        """Whether the log goes on to the run's end."""
        return any(record.HasField("exit") for record in records(self.log))

    @property
    def waits(self) -> bool:
        """Whether there is something that was not, or not wholly, uploaded."""
        return not self.synced.exists() and self.opened is not None

    @property
    def order(self) -> tuple[float, str]:
        """Nodes may be in different time zones, of which the folder's name says nothing."""
        return (self.opened.start_time.ToMicroseconds() / 1e6 if self.opened else 0.0, self.path.name)


def segments(folder: Path) -> list[Segment]:
    """The segments of what ran in `folder`, in the order in which they were begun."""
    return sorted((Segment(path) for path in folder.glob(FOLDERS)), key=lambda one: one.order)


def logged_metrics(folder: Path) -> set[tuple[int, str]]:
    """Epoch and name of each metric in what wandb wrote there, offline and online."""
    found: set[tuple[int, str]] = set()
    for log in folder.glob(f"{FOLDERS}/*.wandb"):
        for record in records(log):
            row = _items(record.history.item) if record.HasField("history") else {}
            found |= {(row["epoch"], name) for name in row if "epoch" in row}
    return found


def _items(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
