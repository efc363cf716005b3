"""Filling the feature store with what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser_lightning.console import track
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore

if TYPE_CHECKING:
    from torch import Tensor

SEGMENT_UTTERANCES = 256
"""Utterances a segment: an interruption loses at most this many, a large corpus makes a few dozen files."""


NAMED = 20
"""Bad files that an error names one by one; of more, it tells the number."""


def _extract(extractors: Mapping[str, Extractor], path: Path, digest: str) -> tuple[dict[str, Tensor], str]:
    """Stream -> features of one audio file, and why features of others of the streams cannot be had."""
    from ser_lightning.features.audio import read_audio

    try:
        waveforms = read_audio(path, digest, {extractor.sample_rate for extractor in extractors.values()})
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
    problem = f"{path}: {'; '.join(reasons)}; replace the file or leave it out" if reasons else ""
    return features, problem


def _finite(extractor: Extractor, waveform: Tensor) -> Tensor:
    features = extractor.extract(waveform)
    if not features.isfinite().all():
        raise UserError(f"{extractor.name} features are not finite; the audio holds absurdly large samples")
    return features


def _refuse(bad: Sequence[str], total: int) -> None:
    """Raise one error that lists what is bad, if anything is."""
    if not bad:
        return
    head = f"{len(bad)} of the {total} audio files read lack features (those of the others are stored):"
    more = [f"... and {len(bad) - NAMED} more"] if len(bad) > NAMED else []
    raise UserError("\n  ".join([head, *bad[:NAMED], *more]))


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
        UserError: at the end, listing all audio files that are broken, changed since `items` were made, too
            short or without finite features, when everything else is stored; at once, if the store cannot be
            written or (ConfigError) an extractor's parameters do not fit together. What was
            flushed before an interruption stays and is not computed again.
    """
    paths = dict(items)
    missing = {stream: set(store.missing(extractor, paths)) for stream, extractor in extractors.items()}
    todo = [digest for digest in paths if any(digest in digests for digests in missing.values())]
    pending: dict[str, dict[str, Tensor]] = {stream: {} for stream in extractors}
    bad: list[str] = []
    for digest in track(todo, label, total=len(todo)):
        wanted = {stream: extractors[stream] for stream in extractors if digest in missing[stream]}
        computed, problem = _extract(wanted, paths[digest], digest)
        bad += [problem] if problem else []
        for stream, features in computed.items():
            pending[stream][digest] = features
            if len(pending[stream]) == SEGMENT_UTTERANCES:
                store.add(extractors[stream], pending[stream])
                pending[stream] = {}
    for stream, rest in pending.items():
        if rest:
            store.add(extractors[stream], rest)
    _refuse(bad, len(todo))
    return {stream: len(digests) for stream, digests in missing.items()}
