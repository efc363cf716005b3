"""What every run needs before a model: the corpus scanned, the split proven, the features in the store."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ser_lightning.config.components import build
from ser_lightning.config.identity import run_id
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.datamodule import PartRows, SERData, Stream
from ser_lightning.data.proof import Proof, prove
from ser_lightning.data.splits import Assignment, Part, Splitter
from ser_lightning.features.extract import fill
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.store import FeatureStore
from ser_lightning.models.stream import StreamShape
from ser_lightning.runs.corpus import scan_corpus


@dataclass(frozen=True)
class Prepared:
    """A configuration with its corpus; split and features follow from them."""

    config: Config
    corpus: Corpus

    @property
    def run_id(self) -> str:
        return run_id(self.config, self.corpus.manifest_digest)

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """By stream."""
        common = ("frames", "normalise")
        return {
            name: build("extractor", {k: v for k, v in stream.items() if k not in common}, selector="extractor")
            for name, stream in self.config.features.items()
        }

    @property
    def shapes(self) -> dict[str, StreamShape]:
        return {
            name: StreamShape(
                extractor.dim, extractor.hop_seconds, self.config.features[name]["frames"], extractor.spectrogram
            )
            for name, extractor in self.extractors.items()
        }

    @cached_property
    def splitter(self) -> Splitter:
        return build("split", self.config.split)  # type: ignore[no-any-return]

    def split(self) -> tuple[Assignment, Proof]:
        """Parts by utterance id, proven disjoint.

        Raises:
            LeakError: they are not.
        """
        parts = self.splitter.split(self.corpus.utterances)
        return parts, prove(self.corpus.utterances, parts, self.splitter.speaker_dependent)

    def fill(self, streams: Sequence[str], utterances: Sequence[Utterance]) -> dict[str, int]:
        """Compute the features that the store lacks; returns how many a stream."""
        wanted = {name: self.extractors[name] for name in streams}
        with one_thread():
            return fill(self._store, wanted, [(u.digest, u.path) for u in utterances])

    def data(self, parts: Assignment, wanted: Sequence[Part], streams: Sequence[str], device: torch.device) -> SERData:
        """Batches of the wanted parts, whose features are filled first."""
        chosen = [u for u in self.corpus.utterances if parts[u.id] in wanted]
        self.fill(streams, chosen)
        rows = {part: self._rows([u for u in chosen if parts[u.id] == part]) for part in wanted}
        sources = {
            name: Stream(
                self._store.reader(self.extractors[name]),
                self.extractors[name].dim,
                self.config.features[name]["frames"],
            )
            for name in streams
        }
        return SERData(rows, sources, self.config.training, self.config.seed, device)

    @property
    def _store(self) -> FeatureStore:
        return FeatureStore(Path(self.config.cache_dir) / "features")

    def _rows(self, utterances: Sequence[Utterance]) -> PartRows:
        number = {name: i for i, name in enumerate(self.corpus.classes)}
        return PartRows(
            [u.id for u in utterances], [u.digest for u in utterances], [number[u.label] for u in utterances]
        )


@contextmanager
def one_thread() -> Iterator[None]:
    """An utterance is too short to share among threads, which only wait for each other where cores are busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def prepare(config: Config) -> Prepared:
    return Prepared(config, scan_corpus(config))


def fill_features(config: Config) -> Mapping[str, int]:
    """`ser features`: fill the store with every stream of the configuration, for the whole corpus."""
    prepared = prepare(config)
    computed = prepared.fill(list(prepared.extractors), prepared.corpus.utterances)
    for name, count in computed.items():
        console.print(f"{name}: {count} computed, {len(prepared.corpus.utterances) - count} were there")
    console.print(f"store: {Path(config.cache_dir) / 'features'}")
    return computed
