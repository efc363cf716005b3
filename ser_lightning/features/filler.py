"""One process's part in filling the store: some audio files at a time, stored in whole segments."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore

if TYPE_CHECKING:
    from torch import Tensor


FILES_AT_ONCE = 8
"""Audio files that are read before their features are extracted. Their waveforms together take about the memory
that extracting the features of one of them does."""

SEGMENT_BYTES = 2**26
"""Features a segment: memory is bounded however long the utterances are."""


@dataclass(frozen=True)
class Task:
    """An audio file, the digest its audio must have, and the streams that lack it."""

    digest: str
    path: Path
    streams: tuple[str, ...]


def handfuls(tasks: Sequence[Task], size: int) -> Iterator[tuple[Task, ...]]:
    """`tasks` in their order, `size` at a time, the last maybe fewer."""
    return (tuple(tasks[start : start + size]) for start in range(0, len(tasks), size))


@dataclass
class Filler:
    """Extracts what tasks ask for and stores it by segments of `segment` utterances, or fewer where they are long.

    Calling it with tasks says for each why features of its file cannot be had, or nothing if they can. The numbers
    do not depend on which tasks come together.

    Raises:
        ConfigError: parameters of an extractor fit no file.
        UserError: the store cannot be written.
    """

    store: FeatureStore
    extractors: Mapping[str, Extractor]
    segment: int
    pending: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    size: Counter[str] = field(default_factory=Counter)
    """Bytes pending, by stream."""

    def __call__(self, tasks: Sequence[Task]) -> list[str]:
        read = [self._read(task) for task in tasks]
        # A stream after the other: its code and tables stay in the processor's caches from file to file.
        for stream in self.extractors:
            for task, waveforms, reasons in read:
                if stream in task.streams and waveforms:
                    reasons += self._extract(stream, task.digest, waveforms)
        return [_told(task, waveforms, reasons) for task, waveforms, reasons in read]

    @property
    def handful(self) -> int:
        """Tasks to call it with; an interruption shall not lose more than a segment."""
        return min(FILES_AT_ONCE, self.segment)

    def flush(self) -> None:
        """Store what is left when there are no more tasks."""
        for stream in list(self.pending):
            self._store(stream)

    def _read(self, task: Task) -> tuple[Task, dict[int, Tensor], list[str]]:
        """With sample rate -> waveform, and why there is none."""
        from ser_lightning.features.audio import read_audio

        try:
            rates = {self.extractors[stream].sample_rate for stream in task.streams}
            return task, read_audio(task.path, task.digest, rates), []
        except UserError as error:
            return task, {}, [str(error)]

    def _extract(self, stream: str, digest: str, waveforms: Mapping[int, Tensor]) -> list[str]:
        """Why the stream's features cannot be had."""
        extractor = self.extractors[stream]
        try:
            features = _finite(extractor, waveforms[extractor.sample_rate])
        except ConfigError:  # it would be every file's
            raise
        except UserError as error:
            return [str(error)]
        self._keep(stream, digest, features)
        return []

    def _keep(self, stream: str, digest: str, features: Tensor) -> None:
        waiting = self.pending.setdefault(stream, {})
        waiting[digest] = features
        self.size[stream] += features.nbytes
        if len(waiting) == self.segment or self.size[stream] >= SEGMENT_BYTES:
            self._store(stream)

    def _store(self, stream: str) -> None:
        del self.size[stream]
        self.store.add(self.extractors[stream], self.pending.pop(stream))


def _told(task: Task, waveforms: Mapping[int, Tensor], reasons: Sequence[str]) -> str:
    if not waveforms:
        return reasons[0]
    return f"{task.path}: {'; '.join(reasons)}; replace the file or leave it out" if reasons else ""


def _finite(extractor: Extractor, waveform: Tensor) -> Tensor:
    features = extractor.extract(waveform)
    # Both ends are NaN where anything is: one pass, without temporaries.
    if not all(map(math.isfinite, features.aminmax())):
        raise UserError(f"{extractor.name} features are not finite; the audio holds absurdly large samples")
    return features
