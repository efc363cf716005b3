"""One process's part in filling the store: audio file by audio file, stored in whole segments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.errors import ConfigError, UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore

if TYPE_CHECKING:
    from torch import Tensor


SEGMENT_BYTES = 2**26
"""Features a segment: memory is bounded however long the utterances are."""


@dataclass(frozen=True)
class Task:
    """An audio file, the digest its audio must have, and the streams that lack it."""

    digest: str
    path: Path
    streams: tuple[str, ...]


@dataclass
class Filler:
    """Extracts what tasks ask for and stores it by segments of `segment` utterances, or fewer where they are long.

    Calling it with a task says why features of the file cannot be had, or nothing if they can.

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

    def __call__(self, task: Task) -> str:
        computed, problem = _extract({name: self.extractors[name] for name in task.streams}, task)
        for stream, features in computed.items():
            waiting = self.pending.setdefault(stream, {})
            waiting[task.digest] = features
            self.size[stream] += features.nbytes
            if len(waiting) == self.segment or self.size[stream] >= SEGMENT_BYTES:
                self._store(stream)
        return problem

    def flush(self) -> None:
        """Store what is left when there are no more tasks."""
        for stream in list(self.pending):
            self._store(stream)

    def _store(self, stream: str) -> None:
        del self.size[stream]
        self.store.add(self.extractors[stream], self.pending.pop(stream))


def _extract(extractors: Mapping[str, Extractor], task: Task) -> tuple[dict[str, Tensor], str]:
    """Stream -> features of one audio file, and why features of others of the streams cannot be had."""
    from ser_lightning.features.audio import read_audio

    rates = {extractor.sample_rate for extractor in extractors.values()}
    try:
        waveforms = read_audio(task.path, task.digest, rates)
    except UserError as error:
        return {}, str(error)
    features: dict[str, Tensor] = {}
    reasons: list[str] = []
    for stream, extractor in extractors.items():
        try:
            features[stream] = _finite(extractor, waveforms[extractor.sample_rate])
        except ConfigError:  # it would be every file's
            raise
        except UserError as error:
            reasons.append(str(error))
    problem = f"{task.path}: {'; '.join(reasons)}; replace the file or leave it out" if reasons else ""
    return features, problem


def _finite(extractor: Extractor, waveform: Tensor) -> Tensor:
    import torch

    features = extractor.extract(waveform)
    # Both ends are NaN where anything is: one pass, without temporaries.
    if not torch.stack(features.aminmax()).isfinite().all():
        raise UserError(f"{extractor.name} features are not finite; the audio holds absurdly large samples")
    return features
