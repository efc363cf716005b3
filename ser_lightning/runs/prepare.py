"""What every run needs before a model: the corpus scanned, the split proven, the features in the store."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import torch

from ser_lightning.config.components import build, load, target
from ser_lightning.config.identity import run_id
from ser_lightning.config.schema import Config
from ser_lightning.corpora.corpus import Corpus
from ser_lightning.corpora.scan import scan_corpus
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.datamodule import PartRows, SERData, Stream
from ser_lightning.data.proof import Proof, prove
from ser_lightning.data.split_file import FromFile
from ser_lightning.data.splits import Assignment, Part, Splitter
from ser_lightning.data.variant import variant
from ser_lightning.features.extractor import Extractor
from ser_lightning.features.scratch import copied, expanded
from ser_lightning.features.store import FeatureStore, Reader
from ser_lightning.features.streams import fill_store, refuse_too_short, store_of, streams
from ser_lightning.models.stream import StreamShape
from ser_lightning.training.learner import Learner


@dataclass(frozen=True)
class Prepared:
    """A configuration with its corpus; split and features follow from them."""

    config: Config
    corpus: Corpus
    extracted: Counter[str] = field(default_factory=Counter, compare=False)
    """Utterances whose features were computed so far, by stream, because the store lacked them."""

    @property
    def run_id(self) -> str:
        parts = self.splitter.digest if isinstance(self.splitter, FromFile) else ""
        return run_id(self.config, self.corpus.manifest_digest, parts)

    @property
    def run_path(self) -> Path:
        return Path(self.config.runs_dir) / self.run_id

    @cached_property
    def extractors(self) -> dict[str, Extractor]:
        """By stream."""
        return streams(self.config)

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
        return parts, self.prove(parts)

    def prove(self, parts: Assignment) -> Proof:
        """What the parts hold and share, and what their figures have to be read with.

        Raises:
            LeakError: they share what they must not.
        """
        transductive = any(stream["normalise"] == "speaker" for stream in self.config.features.values())
        return prove(self.corpus.utterances, parts, self.splitter.speaker_dependent, transductive)

    def fill(self, streams: Sequence[str], utterances: Sequence[Utterance]) -> Mapping[str, int]:
        """Compute the features that the store lacks; returns how many a stream.

        Raises:
            CorpusError: files of the corpus are too short for a stream; nothing has been computed.
            BadAudioError: of some files they can't be had; the next scan reads these again.
        """
        extractors = {name: self.extractors[name] for name in streams}
        refuse_too_short(self.corpus.utterances, extractors)
        return self._fill(extractors, utterances)

    def _fill(self, extractors: Mapping[str, Extractor], utterances: Sequence[Utterance]) -> Mapping[str, int]:
        computed = fill_store(self.config, extractors, utterances)
        self.extracted.update(computed)
        return computed

    def data(self, parts: Assignment, wanted: Sequence[Part], streams: Sequence[str], device: torch.device) -> SERData:
        """Batches of the wanted parts, whose features are filled first."""
        chosen = [u for u in self.corpus.utterances if parts[u.id] in wanted]
        self.fill(streams, chosen)
        by_part = {part: [u for u in chosen if parts[u.id] == part] for part in wanted}
        variants = self._variants(streams, by_part.get("train", []))
        rows = {p: self._rows(found, len(variants) if p == "train" else 0) for p, found in by_part.items()}
        reader = self._reader([u.digest for u in chosen], training="train" in wanted)
        sources = {
            name: Stream(
                [reader(extractors[name]) for extractors in (self.extractors, *variants)],
                self.extractors[name].dim,
                self.config.features[name]["frames"],
                self.config.features[name]["normalise"] == "speaker",
            )
            for name in streams
        }
        return SERData(rows, sources, self.config.training, self.config.seed, device)

    def _reader(self, digests: Sequence[str], training: bool) -> Callable[[Extractor], Reader]:
        """What reads an extractor's features: of the node's copy in a training, which reads them again and again."""
        scratch = self.config.scratch_dir
        if scratch is None or not training:
            return self.store.reader
        return partial(copied, self.store, digests=digests, scratch=expanded(scratch))

    @property
    def store(self) -> FeatureStore:
        return store_of(self.config)

    def _variants(self, streams: Sequence[str], training: Sequence[Utterance]) -> list[dict[str, Extractor]]:
        """For each augmented copy the streams' extractors, whose features are filled."""
        settings = self.config.training.waveform
        copies = range(1, settings.copies + 1) if training else range(0)
        found = [{name: variant(self.extractors[name], settings, copy) for name in streams} for copy in copies]
        for extractors in found:
            self._fill(extractors, training)
        return found

    def _rows(self, utterances: Sequence[Utterance], variants: int) -> PartRows:
        number = {name: i for i, name in enumerate(self.corpus.classes)}
        rows = [(u, v, f" (variant {v})" if v else "") for v in range(variants + 1) for u in utterances]
        # A variant's speaker is one of its own: noise would spread the statistics of the utterances themselves.
        return PartRows(
            [u.id + mark for u, _, mark in rows],
            [u.digest for u, _, _ in rows],
            [number[u.label] for u, _, _ in rows],
            [u.speaker + mark for u, _, mark in rows],
            [v for _, v, _ in rows],
        )


def prepare(config: Config) -> Prepared:
    return Prepared(config, scan_corpus(config))


def make_learner(prepared: Prepared) -> Learner:
    """The configuration's learner, untrained."""
    learner = load(target("learner", prepared.config.training.learner))
    return learner(prepared.config, prepared.shapes, prepared.corpus.classes)  # type: ignore[no-any-return]


def check_split(prepared: Prepared, proof: Proof) -> None:
    """Raises UserError: the configuration's learner can't be fitted on this split."""
    learner = load(target("learner", prepared.config.training.learner))
    if check := getattr(learner, "check_split", None):
        check(prepared.config, proof)
