"""Batches of utterances of similar length."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler

from ser_lightning.data.ragged import Source


class Batch(NamedTuple):
    """Streams by name: frames (B, T, D) and lengths (B,); labels (B,) and row numbers (B,) in the part."""

    features: dict[str, Tensor]
    lengths: dict[str, Tensor]
    labels: Tensor
    rows: Tensor


class Utterances(Dataset[Batch]):
    """One part, fetched a whole batch at a time."""

    def __init__(self, sources: Mapping[str, Source], labels: Tensor) -> None:
        self.sources, self.labels = sources, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: list[int]) -> Batch:
        index = torch.tensor(rows)
        taken = {name: source.take(index) for name, source in self.sources.items()}
        labels = self.labels[index.to(self.labels.device)]
        return Batch(
            {n: t[0] for n, t in taken.items()},
            {n: t[1] for n, t in taken.items()},
            labels,
            index.to(self.labels.device),
        )


class BucketSampler(Sampler[int]):
    """An order in which each `batch_size` neighbours are of similar length, new in every epoch.

    Lengths are sorted with a jitter of about `batch_size` ranks, cut into batches, and the batches shuffled. The
    order depends on seed and epoch alone, so that a resumed training sees what an uninterrupted one does.

    Of several ranks each takes every `ranks`-th row of batches that are as many times larger: the same lengths and the
    same number of rows for all. What doesn't divide, fewer rows than ranks, is left out, another in every epoch.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, rank: int = 0, ranks: int = 1) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = torch.tensor(lengths), batch_size, seed, 0
        self.rank, self.ranks = rank, ranks

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return self.rows // self.ranks

    @property
    def rows(self) -> int:
        """Rows of an epoch over all ranks."""
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        mixed, size = self._drawn(generator)[: len(self) * self.ranks], self.batch_size * self.ranks
        places = self.lengths[mixed].argsort(stable=True).argsort() + 2 * size * torch.rand(
            len(mixed), generator=generator
        )
        sizes = [size] * (len(mixed) // size)
        if rest := len(mixed) % size:
            # Anywhere among the lengths, or it would always be of the longest utterances.
            sizes.insert(int(torch.randint(len(sizes) + 1, (), generator=generator)), rest)
        batches = torch.split(mixed[places.argsort()], sizes)
        # A short batch has to come last: the batch sampler above cuts every `batch_size`.
        full = [batch for batch in batches if len(batch) == size]
        short = [batch for batch in batches if len(batch) < size]
        order = torch.randperm(len(full), generator=generator).tolist()
        for batch in [*(full[i] for i in order), *short]:
            yield from batch[self.rank :: self.ranks].tolist()

    def _drawn(self, generator: torch.Generator) -> Tensor:
        """Rows of an epoch in random order."""
        return torch.randperm(len(self.lengths), generator=generator)


class BalancedSampler(BucketSampler):
    """The same order over rows of which each class has equally many: N / K of N rows and K classes, rounded down.

    A frequent class is sampled without replacement, anew in each epoch; of a rare one all rows come again and again,
    none more than once oftener than another.
    """

    def __init__(
        self, lengths: Sequence[int], labels: Sequence[int], batch_size: int, seed: int, rank: int = 0, ranks: int = 1
    ) -> None:
        super().__init__(lengths, batch_size, seed, rank, ranks)
        classes = torch.tensor(labels)
        self.members = [(classes == label).nonzero().flatten() for label in sorted(set(labels))]
        self.quota = len(lengths) // len(self.members)

    @property
    def rows(self) -> int:
        return self.quota * len(self.members)

    def _drawn(self, generator: torch.Generator) -> Tensor:
        drawn = torch.cat([self._of_one(rows, generator) for rows in self.members])
        return drawn[torch.randperm(len(drawn), generator=generator)]

    def _of_one(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        rounds = -(-self.quota // len(rows))
        return torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(rounds)])[: self.quota]


def loader(
    part: Utterances, sampler: Sampler[int] | range, batch_size: int, workers: int, training: bool
) -> DataLoader[Batch]:
    """Batches of `part` in the sampler's order; in training a last batch of one is dropped: batch norms need two."""
    rows = len(sampler)  # type: ignore[arg-type]
    drop_last = training and rows % batch_size == 1 and rows > 1
    batches = BatchSampler(sampler, batch_size, drop_last=drop_last)
    return DataLoader(
        part, batch_sampler=batches, num_workers=workers, collate_fn=_as_is, persistent_workers=workers > 0
    )


def _as_is(batch: Any) -> Any:
    return batch
