"""Batches of similar length or at random, bounded, in an order that seed and epoch alone decide."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest
import torch

from ser_lightning.config.schema import Training
from ser_lightning.data.batching import (
    BalancedBatches,
    Lengths,
    OrderedBatches,
    TrainingBatches,
    Utterances,
    loader,
)
from ser_lightning.data.ragged import Ragged, Resident

LENGTHS = torch.randint(10, 300, (103,), generator=torch.Generator().manual_seed(3)).tolist()


def of(lengths: Sequence[int]) -> Lengths:
    """Of one stream, which is padded."""
    return Lengths(torch.tensor(lengths), torch.tensor(lengths))


def batches(
    lengths: Sequence[int], size: int = 8, seed: int = 0, epoch: int = 0, rank: int = 0, ranks: int = 1, **given: Any
) -> list[list[int]]:
    made = TrainingBatches(of(lengths), Training(batch_size=size, **given), seed, rank, ranks)
    made.set_epoch(epoch)
    found = list(made)
    assert len(made) == len(found)
    return found


def padding(found: Sequence[Sequence[int]], lengths: Sequence[int] = LENGTHS) -> int:
    return sum(max(lengths[i] for i in batch) * len(batch) - sum(lengths[i] for i in batch) for batch in found)


@pytest.mark.parametrize("kind", ["similar", "random"])
def test_every_utterance_once_an_epoch_the_short_batch_last(kind: str) -> None:
    found = batches(LENGTHS, batches=kind)
    assert sorted(chain(*found)) == list(range(103))
    assert [len(batch) for batch in found] == [8] * 12 + [7]


@pytest.mark.parametrize("kind", ["similar", "random"])
def test_the_order_changes_with_epoch_and_seed_and_repeats(kind: str) -> None:
    def order(seed: int, epoch: int) -> list[list[int]]:
        return batches(LENGTHS, seed=seed, epoch=epoch, batches=kind)

    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1)
    assert order(0, 0) != order(1, 0)


def test_padding_is_far_below_that_of_random_batches() -> None:
    assert padding(batches(LENGTHS)) < 0.5 * padding(batches(LENGTHS, batches="random"))


def test_random_batches_are_as_if_shuffled() -> None:
    """Over 200 epochs, two rows meet about as often whether their lengths are close or far apart."""
    together: Counter[bool] = Counter()
    close = sorted(range(103), key=LENGTHS.__getitem__)[:2]
    far = [close[0], max(range(103), key=LENGTHS.__getitem__)]
    for epoch in range(200):
        for batch in batches(LENGTHS, epoch=epoch, batches="random"):
            together.update(pair is close for pair in (close, far) if set(pair) <= set(batch))
    # Each pair meets with probability 0.0674, 13.5 times of 200; 4 standard deviations are 14.2.
    assert all(0 < together[which] < 28 for which in (True, False))


LONG = [50] * 119 + [30_000]


@pytest.mark.parametrize("kind", ["similar", "random"])
@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("most", [400, 12_000, 60_000, 120_000])
def test_no_batch_holds_more_frames_than_the_bound(kind: str, ranks: int, most: int) -> None:
    for epoch in range(3):
        given = {"size": 16, "epoch": epoch, "ranks": ranks, "batches": kind, "max_frames": most}
        shares = [batches(LONG, rank=rank, **given) for rank in range(ranks)]
        assert sorted(chain(*chain(*shares))) == list(range(120))
        for together in zip(*shares, strict=True):  # as many batches for all, each of as many rows
            assert len({len(batch) for batch in together}) == 1
        for batch in chain(*shares):
            held = len(batch) * max(LONG[row] for row in batch)
            assert held <= most or (len(batch) == 1 and LONG[batch[0]] > most) or (ranks > 1 and len(batch) == 1)


def test_batches_within_the_bound_are_those_without_one() -> None:
    free, most = batches(LENGTHS, max_frames=None), 8 * max(LENGTHS)
    assert batches(LENGTHS, max_frames=most) == free
    bounded = batches(LENGTHS, max_frames=most // 2)
    kept = [batch for batch in free if 8 * max(LENGTHS[row] for row in batch) <= most // 2]
    assert [batch for batch in bounded if batch in kept] == kept
    assert sorted(chain(*bounded)) == list(range(103)) and len(bounded) > len(free)


def test_whether_batches_may_be_divided_is_known() -> None:
    for most, vary in ((None, False), (8 * max(LENGTHS), False), (8 * max(LENGTHS) - 1, True)):
        assert TrainingBatches(of(LENGTHS), Training(batch_size=8, max_frames=most), 0).vary == vary


def test_rows_in_their_order_are_bounded_too() -> None:
    settings = Training(batch_size=4, max_frames=100)
    lengths = [10, 20, 30, 40, 50, 10, 10, 10, 10, 60, 200, 5]
    # 4 rows x 40 and 2 x 60 would be over 100, and 200 is so by itself.
    assert list(OrderedBatches(of(lengths), settings)) == [[0, 1, 2], [3, 4], [5, 6, 7, 8], [9], [10], [11]]
    assert list(OrderedBatches(of(lengths), settings, 1, 2)) == [[1, 3], [5, 7], [9], [11]]
    unbounded = list(OrderedBatches(of(lengths), Training(batch_size=5, max_frames=None)))
    assert unbounded == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]


LABELS = [0] * 70 + [1] * 28 + [2] * 5
"""Of 103: an epoch holds 34 of each class, 102 in all."""


def balanced(epoch: int, seed: int = 0) -> list[list[int]]:
    made = BalancedBatches(of(LENGTHS), LABELS, Training(batch_size=8), seed)
    made.set_epoch(epoch)
    return list(made)


def test_balanced_epochs_hold_each_class_equally_often_and_no_row_much_oftener() -> None:
    for epoch in range(3):
        rows = Counter(chain(*balanced(epoch)))
        assert rows.total() == 102
        assert Counter(LABELS[row] for row in rows.elements()) == {0: 34, 1: 34, 2: 34}
        assert max(rows[row] for row in range(70)) == 1
        assert {rows[row] for row in range(70, 98)} == {1, 2}
        assert {rows[row] for row in range(98, 103)} == {6, 7}


def test_balanced_epochs_differ_and_repeat_and_reach_everything() -> None:
    assert balanced(0) == balanced(0)
    assert balanced(0) != balanced(1)
    assert balanced(0) != balanced(0, seed=1)
    assert set().union(*(chain(*balanced(epoch)) for epoch in range(40))) == set(range(103))


def test_balanced_batches_are_of_similar_length_and_mix_classes() -> None:
    found = balanced(0)
    rows = torch.tensor(list(chain(*found)))
    shuffled = rows[torch.randperm(102, generator=torch.Generator().manual_seed(0))].tolist()
    assert padding(found) < 0.6 * padding([shuffled[at : at + 8] for at in range(0, 102, 8)])
    assert sum(len({LABELS[row] for row in batch}) > 1 for batch in found) > 8


def test_a_last_batch_of_one_is_counted_on_what_is_drawn() -> None:
    # Nine of ten rows are drawn: three a class.
    made = BalancedBatches(of([1] * 10), [0, 0, 0, 0, 1, 1, 1, 2, 2, 2], Training(batch_size=4), 0)
    assert [len(batch) for batch in made] == [4, 4]


def part(n: int) -> Utterances:
    ragged = Ragged.of([torch.full((1 + i % 3, 2), float(i)) for i in range(n)])
    return Utterances({"x": Resident(ragged, None)}, torch.arange(n) % 2)


def test_batches_carry_their_rows_features_and_labels() -> None:
    ordered = OrderedBatches(of([1 + i % 3 for i in range(9)]), Training(batch_size=4))
    found = list(loader(part(9), ordered, workers=0))
    assert [batch.rows.tolist() for batch in found] == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    for batch in found:
        assert torch.equal(batch.features["x"][:, 0, 0], batch.rows.float())
        assert torch.equal(batch.labels, batch.rows % 2)
        assert torch.equal(batch.lengths["x"], 1 + batch.rows % 3)


def test_a_last_batch_of_one_is_left_out_but_not_one_that_its_length_leaves_alone() -> None:
    assert [len(batch) for batch in batches([1] * 9, 4)] == [4, 4]
    assert [len(batch) for batch in batches([1] * 10, 4)] == [4, 4, 2]
    assert [len(batch) for batch in batches([1] * 3, 1)] == [1, 1, 1]
    assert [len(batch) for batch in batches([1], 4)] == [1]
    found = batches([1] * 7 + [100], 4, max_frames=100)
    assert sorted(chain(*found)) == list(range(8)) and [7] in found


def test_worker_processes_give_the_same_batches() -> None:
    made = TrainingBatches(of([1 + i % 3 for i in range(9)]), Training(batch_size=4), 0)
    here, there = (list(loader(part(9), made, workers=workers)) for workers in (0, 1))
    for a, b in zip(here, there, strict=True):
        assert torch.equal(a.rows, b.rows)
        assert torch.equal(a.features["x"], b.features["x"])


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_share_an_epoch_evenly_and_by_length(ranks: int) -> None:
    shares = [list(chain(*batches(LENGTHS, rank=rank, ranks=ranks))) for rank in range(ranks)]
    assert {len(share) for share in shares} == {103 // ranks}
    rows = [row for share in shares for row in share]
    assert len(set(rows)) == len(rows) == 103 - 103 % ranks
    gaps = [abs(LENGTHS[a] - LENGTHS[b]) for a, b in zip(shares[0], shares[1], strict=True)]
    by_chance = [abs(a - b) for a in LENGTHS for b in LENGTHS]
    assert sum(gaps) / len(gaps) < 0.5 * sum(by_chance) / len(by_chance), (
        "a step's rows are of like length on all ranks"
    )


def test_two_ranks_of_four_see_the_batches_of_one_process_of_eight() -> None:
    alone = batches(LENGTHS[:96], 8)
    first, second = (batches(LENGTHS[:96], 4, rank=rank, ranks=2) for rank in (0, 1))
    for here, there, together in zip(first, second, alone, strict=True):
        assert {*here, *there} == set(together)
