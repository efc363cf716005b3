"""Batches of similar length, in an order that seed and epoch alone decide."""

import torch

from ser_lightning.data.batching import BucketSampler, Utterances, loader
from ser_lightning.data.ragged import Ragged, Resident

LENGTHS = torch.randint(10, 300, (103,), generator=torch.Generator().manual_seed(3)).tolist()


def test_every_utterance_once_an_epoch() -> None:
    assert sorted(BucketSampler(LENGTHS, 8, seed=0)) == list(range(103))


def test_the_order_changes_with_epoch_and_seed_and_repeats() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        sampler = BucketSampler(LENGTHS, 8, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_padding_is_far_below_that_of_random_batches() -> None:
    def padding(order: list[int]) -> int:
        batches = [[LENGTHS[i] for i in order[at : at + 8]] for at in range(0, 103, 8)]
        return sum(max(batch) * len(batch) - sum(batch) for batch in batches)

    shuffled = torch.randperm(103, generator=torch.Generator().manual_seed(0)).tolist()
    assert padding(list(BucketSampler(LENGTHS, 8, seed=0))) < 0.5 * padding(shuffled)


def part(n: int) -> Utterances:
    ragged = Ragged.of([torch.full((1 + i % 3, 2), float(i)) for i in range(n)])
    return Utterances({"x": Resident(ragged, None)}, torch.arange(n) % 2)


def test_batches_carry_their_rows_features_and_labels() -> None:
    batches = list(loader(part(9), BucketSampler([1 + i % 3 for i in range(9)], 4, 0), 4, workers=0, training=False))
    assert [len(batch.rows) for batch in batches] == [4, 4, 1]
    for batch in batches:
        assert torch.equal(batch.features["x"][:, 0, 0], batch.rows.float())
        assert torch.equal(batch.labels, batch.rows % 2)
        assert torch.equal(batch.lengths["x"], 1 + batch.rows % 3)


def test_a_last_batch_of_one_is_dropped_in_training_only() -> None:
    sampler = BucketSampler([1] * 9, 4, 0)
    assert [len(b.rows) for b in loader(part(9), sampler, 4, workers=0, training=True)] == [4, 4]
    assert [len(b.rows) for b in loader(part(9), sampler, 4, workers=0, training=False)] == [4, 4, 1]
    assert [len(b.rows) for b in loader(part(10), BucketSampler([1] * 10, 4, 0), 4, workers=0, training=True)] == [
        4,
        4,
        2,
    ]


def test_worker_processes_give_the_same_batches() -> None:
    sampler = BucketSampler([1 + i % 3 for i in range(9)], 4, 0)
    here, there = (list(loader(part(9), sampler, 4, workers=workers, training=False)) for workers in (0, 1))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.rows, b.rows)
        assert torch.equal(a.features["x"], b.features["x"])
