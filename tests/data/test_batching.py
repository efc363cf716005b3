"""Batches of similar length, in an order that seed and epoch alone decide."""

from collections import Counter

import pytest
import torch

from ser_lightning.data.batching import BalancedSampler, BucketSampler, Utterances, loader
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


LABELS = [0] * 70 + [1] * 28 + [2] * 5
"""Of 103: an epoch holds 34 of each class, 102 in all."""


def balanced(epoch: int, seed: int = 0) -> list[int]:
    sampler = BalancedSampler(LENGTHS, LABELS, 8, seed)
    sampler.set_epoch(epoch)
    assert len(sampler) == 102
    return list(sampler)


def test_balanced_epochs_hold_each_class_equally_often_and_no_row_much_oftener() -> None:
    for epoch in range(3):
        rows = Counter(balanced(epoch))
        assert Counter(LABELS[row] for row in rows.elements()) == {0: 34, 1: 34, 2: 34}
        assert max(rows[row] for row in range(70)) == 1
        assert {rows[row] for row in range(70, 98)} == {1, 2}
        assert {rows[row] for row in range(98, 103)} == {6, 7}


def test_balanced_epochs_differ_and_repeat_and_reach_everything() -> None:
    assert balanced(0) == balanced(0)
    assert balanced(0) != balanced(1)
    assert balanced(0) != balanced(0, seed=1)
    assert set().union(*map(balanced, range(40))) == set(range(103))


def test_balanced_batches_are_of_similar_length_and_mix_classes() -> None:
    rows = balanced(0)
    batches = [rows[at : at + 8] for at in range(0, 102, 8)]
    padding = sum(max(LENGTHS[r] for r in batch) * len(batch) - sum(LENGTHS[r] for r in batch) for batch in batches)
    shuffled = torch.tensor(rows)[torch.randperm(102, generator=torch.Generator().manual_seed(0))].tolist()
    chance = [shuffled[at : at + 8] for at in range(0, 102, 8)]
    assert padding < 0.6 * sum(max(LENGTHS[r] for r in b) * len(b) - sum(LENGTHS[r] for r in b) for b in chance)
    assert sum(len({LABELS[row] for row in batch}) > 1 for batch in batches) > 8


def test_a_last_batch_of_one_is_counted_on_what_is_drawn() -> None:
    # Nine of ten rows are drawn: three a class.
    sampler = BalancedSampler([1] * 10, [0, 0, 0, 0, 1, 1, 1, 2, 2, 2], 4, 0)
    assert [len(b.rows) for b in loader(part(10), sampler, 4, workers=0, training=True)] == [4, 4]


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


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_an_epoch_evenly_and_by_length(ranks: int) -> None:
    shares = [list(BucketSampler(LENGTHS, 8, 0, rank, ranks)) for rank in range(ranks)]
    assert {len(share) for share in shares} == {103 // ranks} == {len(BucketSampler(LENGTHS, 8, 0, 0, ranks))}
    rows = [row for share in shares for row in share]
    assert len(set(rows)) == len(rows) == 103 - 103 % ranks
    gaps = [abs(LENGTHS[a] - LENGTHS[b]) for a, b in zip(shares[0], shares[1], strict=True)]
    by_chance = [abs(a - b) for a in LENGTHS for b in LENGTHS]
    assert sum(gaps) / len(gaps) < 0.5 * sum(by_chance) / len(by_chance), (
        "a step's rows are of like length on all ranks"
    )


def test_two_ranks_of_four_see_the_batches_of_one_process_of_eight() -> None:
    alone = list(BucketSampler(LENGTHS[:96], 8, 0))
    first, second = (list(BucketSampler(LENGTHS[:96], 4, 0, rank, 2)) for rank in (0, 1))
    for step in range(12):
        together = {*first[4 * step : 4 * step + 4], *second[4 * step : 4 * step + 4]}
        assert together == set(alone[8 * step : 8 * step + 8])
