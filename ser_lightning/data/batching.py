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
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = torch.tensor(lengths), batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        mixed = torch.randperm(len(self.lengths), generator=generator)
        ranks = self.lengths[mixed].argsort(stable=True).argsort() + 2 * self.batch_size * torch.rand(
            len(mixed), generator=generator
        )
        sizes = [self.batch_size] * (len(mixed) // self.batch_size)
        if rest := len(mixed) % self.batch_size:
            # Anywhere among the lengths, or it would always be of the longest utterances.
            sizes.insert(int(torch.randint(len(sizes) + 1, (), generator=generator)), rest)
        batches = torch.split(mixed[ranks.argsort()], sizes)
        # A short batch has to come last: the batch sampler above cuts every `batch_size`.
        full = [batch for batch in batches if len(batch) == self.batch_size]
        short = [batch for batch in batches if len(batch) < self.batch_size]
        order = torch.randperm(len(full), generator=generator).tolist()
        yield from torch.cat([*(full[i] for i in order), *short]).tolist()


def loader(part: Utterances, sampler: Sampler[int], batch_size: int, workers: int, training: bool) -> DataLoader[Batch]:
    """Batches of `part` in the sampler's order; in training a last batch of one is dropped: batch norms need two."""
    drop_last = training and len(part) % batch_size == 1 and len(part) > 1
    batches = BatchSampler(sampler, batch_size, drop_last=drop_last)
    return DataLoader(
        part, batch_sampler=batches, num_workers=workers, collate_fn=_as_is, persistent_workers=workers > 0
    )


def _as_is(batch: Any) -> Any:
    return batch
