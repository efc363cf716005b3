"""The streams of a configuration: what extracts each, what is too short for one, and filling the store for them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config
from ser_lightning.corpora.cache import AudioCache
from ser_lightning.corpora.corpus import CorpusError
from ser_lightning.corpora.utterance import Problem, Utterance
from ser_lightning.errors import listed
from ser_lightning.features.extract import BadAudioError, fill
from ser_lightning.features.extractor import Extractor, why_too_short
from ser_lightning.features.store import FeatureStore


def streams(config: Config) -> dict[str, Extractor]:
    """The extractors by stream."""
    common = ("frames", "normalise")
    return {
        name: build("extractor", {k: v for k, v in stream.items() if k not in common}, selector="extractor")
        for name, stream in config.features.items()
    }


def too_short(utterances: Sequence[Utterance], extractors: Mapping[str, Extractor]) -> list[Problem]:
    """What gives no frame of a stream; only a model that reads it cannot be trained."""
    found = []
    for utterance in utterances:
        for name, extractor in extractors.items():
            reason = why_too_short(extractor, round(utterance.seconds * extractor.sample_rate))
            if reason:
                found.append(Problem("short", utterance.path, f"stream `{name}`: {reason}"))
    return found


def refuse_too_short(utterances: Sequence[Utterance], extractors: Mapping[str, Extractor]) -> None:
    """Raise CorpusError that lists what gives no frame of a stream."""
    found = too_short(utterances, extractors)
    if found:
        head = "these files are too short for the features; replace them, leave them out, or choose shorter windows:"
        raise CorpusError("\n  ".join([head, *listed([f"{p.path}: {p.detail}" for p in found])]))


def store_of(config: Config) -> FeatureStore:
    """Where its features are kept."""
    return FeatureStore(Path(config.cache_dir) / "features")


def fill_store(
    config: Config, extractors: Mapping[str, Extractor], utterances: Sequence[Utterance]
) -> Mapping[str, int]:
    """Compute the features that the store lacks; returns how many a stream.

    Raises:
        BadAudioError: of some files they can't be had; the next scan reads these again.
    """
    items = [(u.digest, u.path) for u in utterances]
    try:
        return fill(store_of(config), extractors, items, workers=config.extraction_workers)
    except BadAudioError as error:
        AudioCache(Path(config.cache_dir)).forget(error.paths)
        raise
