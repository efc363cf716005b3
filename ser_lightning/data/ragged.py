"""Utterances of different lengths in one tensor, and batches gathered from it by index."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ser_lightning.features.store import Reader

BLOCK = 65536
"""Frames a block, where all of a stream are gone through."""


@dataclass(frozen=True)
class Ragged:
    """Frames (sum of lengths, D) of N utterances one after another, and their lengths (N,)."""

    frames: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, utterances: Sequence[Tensor]) -> "Ragged":
        return cls(torch.cat(list(utterances)), torch.tensor([len(one) for one in utterances]))

    def to(self, device: torch.device) -> "Ragged":
        return Ragged(self.frames.to(device), self.lengths.to(device))

    @cached_property
    def starts(self) -> Tensor:
        """Number of each utterance's first frame (N,)."""
        return self.lengths.cumsum(0) - self.lengths

    def gather(self, rows: Tensor, frames: int | None) -> tuple[Tensor, Tensor]:
        """Batch (B, T, D) of `rows` and its lengths (B,).

        With `frames`, each utterance is resampled to that many by nearest neighbour, source frame
        floor(j * T_in / T_out) as in the DS-LSTM paper's code; else T is the longest and padding is 0.
        """
        lengths, starts = self.lengths[rows], self.starts[rows]
        if frames is not None:
            step = torch.arange(frames, device=rows.device)
            index = step * lengths[:, None] // frames
            return self.frames[starts[:, None] + index], torch.full_like(lengths, frames)
        step = torch.arange(int(lengths.max()), device=rows.device)
        inside = step < lengths[:, None]
        index = starts[:, None] + torch.where(inside, step, 0)
        batch = self.frames.index_select(0, index.flatten()).view(*index.shape, -1)
        return batch.mul_(inside[..., None]), lengths


class Rows(Protocol):
    """Frames (T, D) of one part's utterances, by row."""

    def __len__(self) -> int: ...
    def __getitem__(self, row: int) -> Tensor: ...


@dataclass(frozen=True)
class Stored:
    """Frames as the store has them: of digest and reader, by row."""

    readers: Sequence[Reader]
    digests: Sequence[str]

    def __len__(self) -> int:
        return len(self.digests)

    def __getitem__(self, row: int) -> Tensor:
        return self.readers[row][self.digests[row]]


class FrameSource(Protocol):
    """One stream of one part."""

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Batch (B, T, D) and lengths (B,) of the utterances numbered `rows` (B,)."""

    def blocks(self) -> Iterator[Tensor]:
        """All frames, as stored, in blocks (n, D)."""


@dataclass(frozen=True)
class Resident:
    """A stream that lives on the device."""

    ragged: Ragged
    frames: int | None

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.ragged.gather(rows.to(self.ragged.frames.device), self.frames)

    def blocks(self) -> Iterator[Tensor]:
        # In parts: statistics are taken in float64, with temporaries of a block's size.
        yield from torch.split(self.ragged.frames, BLOCK)


@dataclass(frozen=True)
class Mapped:
    """A stream read from the memory-mapped store a batch at a time."""

    utterances: Rows
    frames: int | None

    def take(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        utterances = [self.utterances[row] for row in rows.tolist()]
        if self.frames is None:
            return pad_sequence(utterances, batch_first=True), torch.tensor([len(one) for one in utterances])
        return Ragged.of(utterances).gather(torch.arange(len(rows)), self.frames)

    def blocks(self) -> Iterator[Tensor]:
        return (self.utterances[row] for row in range(len(self.utterances)))
