"""`ser features`, `ser features verify` and `ser features gc`: the feature store seen from a configuration."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from ser_lightning.config.schema import Config
from ser_lightning.console import answer
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.scan import scan_corpus
from ser_lightning.errors import UserError
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore, segments
from ser_lightning.features.streams import fill_store, refuse_too_short, store_of, streams
from ser_lightning.features.unused import Unused, find_unused, still_old
from ser_lightning.features.verify import bad_files


def fill_features(config: Config) -> Mapping[str, int]:
    """Fill the store with every stream of the configuration, for the whole corpus; returns how many were computed.

    Raises:
        CorpusError: the corpus can't be used, or files are too short for a stream; nothing has been computed.
        BadAudioError: of some files features can't be had.
    """
    utterances, extractors = scan_corpus(config).utterances, streams(config)
    refuse_too_short(utterances, extractors)
    computed = fill_store(config, extractors, utterances)
    for name, count in computed.items():
        answer(f"{name}: {count} computed, {len(utterances) - count} were there")
    answer(f"store: {store_of(config).folder}")
    return computed


def verify_features(config: Config) -> None:
    """Check every file of the store, of all configurations; remove what is broken and say what it costs.

    Raises:
        UserError: something was broken, and is removed; or a file cannot be read or removed.
    """
    corpus, store = scan_corpus(config), store_of(config)
    bad = list(bad_files(store))
    for one in bad:
        answer(f"{one.path}: {one.reason}")
        _remove(one.path)
    _say_missing(store, streams(config), corpus)
    if bad:
        raise UserError(
            f"{store.folder}: {len(bad)} files were broken and are removed; `ser features` and `ser train` "
            "compute what they need again"
        )
    good = sum(len(segments(folder)) for folder in store.folders())
    answer(f"{store.folder}: {good} segments are what they were written as")


def collect_features(config: Config, remove: bool = False) -> Unused:
    """List the segments that the configuration's streams and corpus do not need, or remove them.

    Features of all other configurations that share the store count as unneeded, which costs their computing again. What
    was written or used within the last hour stays.

    Raises:
        UserError: a needed segment is broken, or a file cannot be removed.
    """
    corpus, store = scan_corpus(config), store_of(config)
    found = find_unused(store, streams(config).values(), [u.digest for u in corpus.utterances])
    if remove:
        for path in still_old(found):
            _remove(path)
    freed: Counter[Path] = Counter()
    for path, size in found.old.items():
        freed[path.parent] += size
    for folder, size in sorted(freed.items()):
        answer(f"{folder}: {_mib(size)}")
    if found.young:
        answer(f"{found.young} unneeded segments stay: they were written or used within the last hour")
    outcome = "removed" if remove else "would be removed; add --remove to do it"
    answer(f"{store.folder}: {len(found.old)} unneeded files, {_mib(freed.total())}, {outcome}")
    return found


def _say_missing(store: FeatureStore, extractors: Mapping[str, Extractor], corpus: Corpus) -> None:
    digests = [u.digest for u in corpus.utterances]
    for name, extractor in extractors.items():
        missing = len(store.missing(extractor, digests))
        answer(f"{name}: {missing} of {len(set(digests))} utterances to be computed")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{path}: cannot be removed ({error.strerror}); mend the rights of its folder") from error


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
