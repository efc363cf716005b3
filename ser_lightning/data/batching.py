"""Batches of utterances: of similar length or at random, bounded in utterances and in frames."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from ser_lightning.config.schema import Training
from ser_lightning.data.ragged import FrameSource


class Batch(NamedTuple):
    """Streams by name: frames (B, T, D) and lengths (B,); labels (B,) and row numbers (B,) in the part."""

    features: dict[str, Tensor]
    lengths: dict[str, Tensor]
    labels: Tensor
    rows: Tensor


class Utterances(Dataset[Batch]):
    """One part, fetched a whole batch at a time."""

    def __init__(self, sources: Mapping[str, FrameSource], labels: Tensor) -> None:
        self.sources, self.labels = sources, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: list[int]) -> Batch:
        index = torch.tensor(rows)
        taken = {name: source.take(index) for name, source in self.sources.items()}
        labels = self.labels[index.to(self.labels.device)]
        return Batch(
            {n: t[0] for n, t in taken.items()},
            {n: t[1] for n, t in taken.items()},
            labels,
            index.to(self.labels.device),
        )


class Lengths(NamedTuple):
    """Frames of a part's rows, int64 (N,) each."""

    padded: Tensor
    """Over all streams that are padded: what similar lengths save."""
    most: Tensor
    """In the stream that has most of them: what bounds a batch."""


class TrainingBatches(Sampler[list[int]]):
    """The rows of each batch, new in every epoch.

    Of `training.batches=similar`, lengths are sorted with a jitter of about `batch_size` ranks, cut into batches, and
    the batches shuffled; of `random`, shuffled rows are cut. A batch of more than `max_frames` (rows x the longest) is
    sorted by length and divided, so that how many there are may differ from epoch to epoch (`vary`). A last batch of
    one, which would be normalised by itself, is left out; one that its length leaves alone is not.

    Batches depend on seed and epoch alone, so that a resumed training sees what an uninterrupted one does.

    Of several ranks each takes every `ranks`-th row of batches that are as many times larger: the same lengths and the
    same number of rows and of batches for all. What doesn't divide, fewer rows than ranks, is left out, another in
    every epoch.
    """

    def __init__(self, lengths: Lengths, training: Training, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.lengths, self.training, self.seed, self.epoch = lengths, training, seed, 0
        self.rank, self.ranks = rank, ranks

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    @property
    def vary(self) -> bool:
        """Whether a batch may have to be divided."""
        most = self.training.max_frames
        return most is not None and self.training.batch_size * int(self.lengths.most.max()) > most

    @property
    def rows(self) -> int:
        """Rows of an epoch over all ranks."""
        return len(self.lengths.padded)

    def __len__(self) -> int:
        return len(self._batches())

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self._batches():
            yield batch[self.rank :: self.ranks].tolist()

    def _batches(self) -> list[Tensor]:
        """Rows of all ranks, batch by batch."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        mixed = self._drawn(generator)[: self.rows // self.ranks * self.ranks]
        *full, last = self._similar(mixed, generator) if self.training.batches == "similar" else self._cut(mixed)
        if len(last) > self.ranks or self.training.batch_size == 1 or not full:
            full.append(last)
        return [piece for batch in full for piece in self._bounded(batch)]

    def _similar(self, mixed: Tensor, generator: torch.Generator) -> list[Tensor]:
        size = self.training.batch_size * self.ranks
        jitter = 2 * size * torch.rand(len(mixed), generator=generator)
        places = self.lengths.padded[mixed].argsort(stable=True).argsort() + jitter
        sizes = [size] * (len(mixed) // size)
        if rest := len(mixed) % size:
            # Anywhere among the lengths, or it would always be of the longest utterances.
            sizes.insert(int(torch.randint(len(sizes) + 1, (), generator=generator)), rest)
        batches = torch.split(mixed[places.argsort()], sizes)
        full = [batch for batch in batches if len(batch) == size]
        short = [batch for batch in batches if len(batch) < size]
        return [*(full[i] for i in torch.randperm(len(full), generator=generator).tolist()), *short]

    def _cut(self, mixed: Tensor) -> list[Tensor]:
        return list(torch.split(mixed, self.training.batch_size * self.ranks))

    def _bounded(self, batch: Tensor) -> Iterator[Tensor]:
        """The batch, or what it is divided into: from the longest on as many rows a rank as the bound lets in."""
        most, frames = self.training.max_frames, self.lengths.most[batch]
        if most is None or len(batch) // self.ranks * int(frames.max()) <= most:
            yield batch
            return
        order = frames.argsort(descending=True, stable=True)
        while len(order):
            rows = max(1, most // int(frames[order[0]])) * self.ranks
            yield batch[order[:rows]]
            order = order[rows:]

    def _drawn(self, generator: torch.Generator) -> Tensor:
        """Rows of an epoch in random order."""
        return torch.randperm(self.rows, generator=generator)


class BalancedBatches(TrainingBatches):
    """The same over rows of which each class has equally many: N / K of N rows and K classes, rounded down.

    A frequent class is sampled without replacement, anew in each epoch; of a rare one all rows come again and again,
    none more than once oftener than another.
    """

    def __init__(
        self,
        lengths: Lengths,
        labels: Sequence[int],
        training: Training,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__(lengths, training, seed, rank, ranks)
        classes = torch.tensor(labels)
        self.members = [(classes == label).nonzero().flatten() for label in sorted(set(labels))]
        self.quota = len(labels) // len(self.members)

    @property
    def rows(self) -> int:
        return self.quota * len(self.members)

    def _drawn(self, generator: torch.Generator) -> Tensor:
        drawn = torch.cat([self._of_one(rows, generator) for rows in self.members])
        return drawn[torch.randperm(len(drawn), generator=generator)]

    def _of_one(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        rounds = -(-self.quota // len(rows))
        return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(rounds)])[: self.quota]


class OrderedBatches(Sampler[list[int]]):
    """A part's rows in their order, as many a batch as `batch_size` and `max_frames` let in; of several ranks each has
    every `ranks`-th row."""

    def __init__(self, lengths: Lengths, training: Training, rank: int = 0, ranks: int = 1) -> None:
        self.batches: list[list[int]] = []
        batch: list[int] = []
        longest = 0
        for row, frames in list(enumerate(lengths.most.tolist()))[rank::ranks]:
            together = (len(batch) + 1) * max(longest, frames)
            over = training.max_frames is not None and together > training.max_frames
            if batch and (len(batch) == training.batch_size or over):
                self.batches.append(batch)
                batch, longest = [], 0
            batch.append(row)
            longest = max(longest, frames)
        self.batches += [batch] if batch else []

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


def loader(part: Utterances, batches: Sampler[list[int]], workers: int) -> DataLoader[Batch]:
    """`part` batch by batch, read by so many processes; 0 is this one."""
    # No batch_size: what torch calls a sampler gives whole batches.
    return DataLoader(
        part,
        sampler=batches,  # type: ignore[arg-type]  # of rows, says torch
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_is,
        persistent_workers=workers > 0,
    )


def _as_is(batch: Any) -> Any:
    return batch
