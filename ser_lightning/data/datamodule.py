"""The LightningDataModule: parts of a corpus as batches, on the device when they fit."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from ser_lightning.config.schema import Training
from ser_lightning.data.batching import (
    BalancedBatches,
    Batch,
    Lengths,
    OrderedBatches,
    TrainingBatches,
    Utterances,
    loader,
)
from ser_lightning.data.own_speaker import OwnSpeaker
from ser_lightning.data.ragged import FrameSource, Mapped, Ragged, Resident, Rows, Stored
from ser_lightning.data.splits import Part
from ser_lightning.errors import UserError
from ser_lightning.features.store import Reader

SHARE_OF_MEMORY = 0.5
"""Share of a device's free memory that features may take; the rest is for weights and activations."""


@dataclass(frozen=True)
class PartRows:
    """The utterances of one part, row by row; `variants` counts an utterance's augmented ones from 1, itself is 0."""

    ids: Sequence[str]
    digests: Sequence[str]
    labels: Sequence[int]
    speakers: Sequence[str]
    variants: Sequence[int]


@dataclass(frozen=True)
class Stream:
    """Where a stream's frames are, their width, and how many a batch holds (None: as many as the longest has).

    The first of `readers` has the utterances themselves, the others their variants. With `own_speaker` a part's frames
    come normalised by their speakers' statistics.
    """

    readers: Sequence[Reader]
    dim: int
    frames: int | None
    own_speaker: bool = False


class SERData(L.LightningDataModule):
    """Batches of the parts that were given; a part that was not given cannot be looked at."""

    def __init__(
        self,
        parts: Mapping[Part, PartRows],
        streams: Mapping[str, Stream],
        training: Training,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.parts, self.streams, self.training, self.seed = parts, streams, training, seed
        self.resident = self._fits(device)
        self._device = device if self.resident else torch.device("cpu")
        self._loaded: dict[Part, Utterances] = {}
        self._counted: dict[Part, Frames] = {}
        self.rank, self.ranks = 0, 1

    def shard(self, rank: int, ranks: int) -> None:
        """Serve only the share of one of several ranks: of a training epoch, and of validation."""
        self.rank, self.ranks = rank, ranks

    @property
    def place(self) -> str:
        """Where the features are and how much of them is padding, for people."""
        where = "kept on the device" if self.resident else "read from the store"
        return f"{where}, {self.padding:.0%} of a batch's frames padding"

    @property
    def padding(self) -> float:
        """Share of padding among the frames of a training epoch's batches; 0 where all streams have fixed frames."""
        batches = [lengths[rows] for rows in self.batches for lengths in self._frames("train").padded]
        held = sum(int(batch.sum()) for batch in batches)
        return 1 - held / sum(len(batch) * int(batch.max()) for batch in batches) if held else 0.0

    @property
    def batches(self) -> TrainingBatches:
        """The rows of the training batches of the first epoch, and of others on demand."""
        rows, share = self.parts["train"], (self.training, self.seed, self.rank, self.ranks)
        lengths = self._frames("train").lengths
        balanced = self.training.sampler == "balanced"
        return BalancedBatches(lengths, rows.labels, *share) if balanced else TrainingBatches(lengths, *share)

    def train_dataloader(self) -> DataLoader[Batch]:
        batches = self.batches
        if self.trainer:  # before the trainer says so itself: it counts the batches first
            batches.set_epoch(self.trainer.current_epoch)
        return loader(self.part("train"), batches, self._workers)

    def val_dataloader(self) -> DataLoader[Batch]:
        return self.in_order("validation", self.rank, self.ranks)

    def in_order(self, part: Part, rank: int = 0, ranks: int = 1) -> DataLoader[Batch]:
        """Batches of a part in the order of its rows; of several ranks each has every `ranks`-th row."""
        utterances = self.part(part)
        return loader(utterances, OrderedBatches(self._frames(part).lengths, self.training, rank, ranks), self._workers)

    def part(self, part: Part) -> Utterances:
        """Raises UserError: the part was not given, as the test part is not to a training."""
        if part not in self.parts:
            raise UserError(f"the {part} part is closed here: what is given is {', '.join(self.parts)}")
        if part not in self._loaded:
            rows = self.parts[part]
            sources = {name: self._source(stream, rows) for name, stream in self.streams.items()}
            self._loaded[part] = Utterances(sources, torch.tensor(rows.labels, device=self._device))
        return self._loaded[part]

    def training_blocks(self) -> dict[str, Iterator[Tensor]]:
        """All training frames of each stream in blocks (n, D): what statistics may be fitted on."""
        return {name: source.blocks() for name, source in self.part("train").sources.items()}

    @property
    def _workers(self) -> int:
        return 0 if self.resident else self.training.num_workers

    def _source(self, stream: Stream, part: PartRows) -> FrameSource:
        rows: Rows = Stored([stream.readers[variant] for variant in part.variants], part.digests)
        if stream.own_speaker:
            rows = OwnSpeaker.of(rows, part.speakers)
        if not self.resident:
            return Mapped(rows, stream.frames)
        ragged = Ragged.of([rows[row] for row in range(len(rows))])
        return Resident(ragged.to(self._device), stream.frames)

    def _frames(self, part: Part) -> "Frames":
        if part not in self._counted:
            self._counted[part] = Frames.of(self.parts[part], list(self.streams.values()))
        return self._counted[part]

    def _fits(self, device: torch.device) -> bool:
        if self.training.keep_on_device != "auto":
            return self.training.keep_on_device == "yes"
        needed = sum(
            4 * stream.readers[variant].frames(digest) * stream.dim
            for stream in self.streams.values()
            for rows in self.parts.values()
            for variant, digest in zip(rows.variants, rows.digests, strict=True)
        )
        return needed < SHARE_OF_MEMORY * free_memory(device)


@dataclass(frozen=True)
class Frames:
    """Frames (N,) of a part's utterances in each stream that is padded, and what they come to."""

    padded: Sequence[Tensor]
    lengths: Lengths

    @classmethod
    def of(cls, part: PartRows, streams: Sequence[Stream]) -> Self:
        rows = list(zip(part.variants, part.digests, strict=True))
        readers = [stream.readers for stream in streams if stream.frames is None]
        padded = [torch.tensor([each[variant].frames(digest) for variant, digest in rows]) for each in readers]
        fixed = torch.full((len(rows),), max((stream.frames or 0 for stream in streams), default=0))
        none = torch.zeros(len(rows), dtype=torch.long)
        return cls(padded, Lengths(sum(padded, none), torch.stack([fixed, *padded]).amax(0)))


def free_memory(device: torch.device) -> int:
    """Bytes that this process can still take on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
    # Only Linux counts free pages; elsewhere half of all of them is the bound.
    pages = "SC_AVPHYS_PAGES" if "SC_AVPHYS_PAGES" in os.sysconf_names else "SC_PHYS_PAGES"
    return os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
