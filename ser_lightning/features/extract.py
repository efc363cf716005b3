"""Filling the feature store with what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.console import track
from ser_lightning.errors import UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore

if TYPE_CHECKING:
    from torch import Tensor

SEGMENT_UTTERANCES = 256
"""Utterances a segment: an interruption loses at most this many, a large corpus makes a few dozen files."""


def _extract(extractors: Mapping[str, Extractor], path: Path) -> dict[str, Tensor]:
    """Stream -> features of one audio file, which is read once for each sample rate."""
    from ser_lightning.features.audio import read_audio

    rates = {extractor.sample_rate for extractor in extractors.values()}
    waveforms = {rate: read_audio(path, rate) for rate in rates}
    return {
        stream: _checked(extractor, waveforms[extractor.sample_rate], path) for stream, extractor in extractors.items()
    }


def _checked(extractor: Extractor, waveform: Tensor, path: Path) -> Tensor:
    try:
        features = extractor.extract(waveform)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    if not features.isfinite().all():
        raise UserError(
            f"{path}: {extractor.name} features are not finite; the audio holds NaN, infinite or absurdly "
            f"large samples; replace the file or leave it out"
        )
    return features


def fill(
    store: FeatureStore,
    extractors: Mapping[str, Extractor],
    items: Sequence[tuple[str, Path]],
    label: str = "extracting features",
) -> dict[str, int]:
    """Compute and store the features that `store` lacks.

    Args:
        store: where they are kept.
        extractors: stream name -> extractor.
        items: (digest of the audio, its file), an utterance each; a digest that comes twice is computed once.
        label: text before the progress bar, which counts only utterances with something missing.

    Returns:
        Stream name -> number of utterances computed now.

    Raises:
        UserError: an audio file is broken, too short or gives non-finite features (the message names it), or
            the store cannot be written. What was flushed before stays and is not computed again.
    """
    paths = dict(items)
    missing = {stream: set(store.missing(extractor, paths)) for stream, extractor in extractors.items()}
    todo = [digest for digest in paths if any(digest in digests for digests in missing.values())]
    pending: dict[str, dict[str, Tensor]] = {stream: {} for stream in extractors}
    for digest in track(todo, label, total=len(todo)):
        wanted = {stream: extractors[stream] for stream in extractors if digest in missing[stream]}
        for stream, features in _extract(wanted, paths[digest]).items():
            pending[stream][digest] = features
            if len(pending[stream]) == SEGMENT_UTTERANCES:
                store.add(extractors[stream], pending[stream])
                pending[stream] = {}
    for stream, rest in pending.items():
        if rest:
            store.add(extractors[stream], rest)
    return {stream: len(digests) for stream, digests in missing.items()}
