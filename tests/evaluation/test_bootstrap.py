"""Intervals over speakers against enumeration of all resamples, scikit-learn and cases known on paper."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student

from ser_lightning.errors import UserError
from ser_lightning.evaluation.bootstrap import (
    intervals,
    intervals_of_counts,
    macro_f1,
    paired_intervals,
    resamples,
    uar,
    wa,
)
from ser_lightning.evaluation.predictions import Predictions

CLASSES = ["a", "b", "c"]


def table(targets: NDArray[np.int64], decisions: NDArray[np.int64], speakers: list[str]) -> Predictions:
    ids = [str(i) for i in range(len(targets))]
    labels = [CLASSES[i] for i in targets]
    return Predictions(CLASSES, ids, speakers, ["test"] * len(ids), labels, np.eye(3)[decisions])


def drawn(speakers: int, each: int, seed: int, right: float = 0.6) -> Predictions:
    """Classes at random, decisions right with a probability that differs by speaker."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, speakers * each)
    chance = np.repeat(np.clip(rng.normal(right, 0.1, speakers), 0.05, 0.95), each)
    decisions = np.where(rng.random(len(targets)) < chance, targets, (targets + 1) % 3)
    return table(targets, decisions, [f"s{i:02d}" for i in range(speakers) for _ in range(each)])


def by_enumeration(rows: Predictions, figure: str) -> tuple[float, float]:
    """The documented formula with the variance over all S^S equally likely resamples and scikit-learn's scores."""
    reference = pytest.importorskip("sklearn.metrics")
    score = {
        "uar": reference.balanced_accuracy_score,
        "wa": reference.accuracy_score,
        "macro_f1": lambda true, found: reference.f1_score(true, found, average="macro"),
    }[figure]
    names = sorted(set(rows.speakers))
    of = {name: [i for i, speaker in enumerate(rows.speakers) if speaker == name] for name in names}
    values = []
    for chosen in product(names, repeat=len(names)):
        own = [i for name in chosen for i in of[name]]
        values.append(score(rows.targets[own], rows.decisions[own]))
    point, size = score(rows.targets, rows.decisions), len(names)
    error = np.std(values) * np.sqrt(size / (size - 1)) / (point * (1 - point))
    bounds = np.log(point / (1 - point)) + np.array([-1, 1]) * student.ppf(0.975, size - 1) * error
    low, high = 1 / (1 + np.exp(-bounds))
    return float(low), float(high)


@pytest.mark.parametrize("figure", ["uar", "wa", "macro_f1"])
@pytest.mark.parametrize("speakers", [3, 4])
def test_equals_enumeration_of_all_resamples(figure: str, speakers: int) -> None:
    rows = drawn(speakers, 40, seed=1)
    found = intervals(rows, draws=200_000)[figure]
    assert found == pytest.approx(by_enumeration(rows, figure), abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_scores_of_a_resample_are_those_of_its_rows_repeated(seed: int) -> None:
    """Also where a class is missing from a resample."""
    reference = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (5, 3, 3))
    counts[1:, 2] = 0
    weights = np.vstack([resamples(5, 20, seed), [[0, 2, 1, 1, 1]]])
    for weight, found in zip(
        weights, zip(uar(counts, weights), wa(counts, weights), macro_f1(counts, weights), strict=True), strict=True
    ):
        confusion = np.tensordot(weight, counts, 1).astype(int)
        true, decided = (np.repeat(index.ravel(), confusion.ravel()) for index in np.indices((3, 3)))
        expected = (
            np.mean([confusion[k, k] / confusion[k].sum() for k in range(3) if confusion[k].sum()]),
            reference.accuracy_score(true, decided),
            reference.f1_score(true, decided, average="macro"),
        )
        assert found == pytest.approx(expected)


def test_point_scores_are_those_of_the_table() -> None:
    rows = drawn(6, 30, seed=2)
    counts = np.array([drawn_part.scores().confusion for drawn_part in _by_speaker(rows)])
    own = rows.scores()
    assert (uar(counts)[0], wa(counts)[0], macro_f1(counts)[0]) == pytest.approx((own.uar, own.wa, own.macro_f1))


def _by_speaker(rows: Predictions) -> list[Predictions]:
    return [
        rows.rows([i for i, name in enumerate(rows.speakers) if name == speaker])
        for speaker in sorted(set(rows.speakers))
    ]


def test_resamples_draw_speakers_with_replacement() -> None:
    found = resamples(6, 20_000, seed=0)
    assert np.all(found.sum(1) == 6)
    # Multinomial: mean 1, variance 1 - 1/S, covariance -1/S.
    assert np.cov(found.T) == pytest.approx(np.eye(6) - 1 / 6, abs=0.03)


def test_speakers_who_are_all_alike_give_no_width() -> None:
    counts = np.tile([[3, 1, 0], [1, 3, 0], [0, 2, 2]], (5, 1, 1))
    found = intervals_of_counts(counts)
    assert found["uar"] == pytest.approx((2 / 3, 2 / 3))
    assert found["wa"] == pytest.approx((8 / 12, 8 / 12))


@pytest.mark.parametrize(("decision", "expected"), [(0, 1.0), (1, 0.0)])
def test_all_right_and_all_wrong(decision: int, expected: float) -> None:
    rows = table(np.zeros(12, dtype=np.int64), np.full(12, decision), [f"s{i % 4}" for i in range(12)])
    assert set(intervals(rows).values()) == {(expected, expected)}


def test_many_equal_speakers_give_the_standard_error_of_their_mean() -> None:
    """With equal numbers of utterances WA is a mean over speakers, so the textbook interval holds on that scale."""
    rows = drawn(400, 20, seed=3)
    means = np.array([(part.targets == part.decisions).mean() for part in _by_speaker(rows)])
    point = means.mean()
    half = norm.ppf(0.975) * means.std(ddof=1) / np.sqrt(400) / (point * (1 - point))
    expected = 1 / (1 + np.exp(-(np.log(point / (1 - point)) + np.array([-half, half]))))
    assert intervals(rows)["wa"] == pytest.approx(tuple(expected), abs=1e-3)


def test_a_speakers_utterances_are_not_independent() -> None:
    """One utterance counted ten times adds nothing: rows taken as independent would shrink the interval by sqrt(10)."""
    rows = drawn(8, 30, seed=4)
    again = rows
    for _ in range(9):
        again = again + rows
    assert intervals(again)["uar"] == pytest.approx(intervals(rows)["uar"])


@pytest.mark.parametrize("right", [0.05, 0.95])
def test_stays_within_the_range_and_around_the_score(right: float) -> None:
    rows = drawn(3, 10, seed=5, right=right)
    for name, found in intervals(rows).items():
        assert found is not None
        assert 0 <= found[0] <= getattr(rows.scores(), name) <= found[1] <= 1


def test_a_higher_level_is_wider_and_a_seed_repeats() -> None:
    rows = drawn(5, 20, seed=6)
    (low, high), (lower, higher) = (intervals(rows, level=level)["uar"] or (0, 0) for level in (0.8, 0.99))
    assert lower < low < high < higher
    assert intervals(rows, seed=1) == intervals(rows, seed=1) != intervals(rows, seed=2)


def test_two_speakers_have_no_interval() -> None:
    rows = drawn(2, 20, seed=7)
    assert intervals(rows) == {"uar": None, "wa": None, "macro_f1": None}
    assert paired_intervals(rows, rows) == {"uar": None, "wa": None}


def test_paired_difference_equals_the_t_interval_of_speakers_differences() -> None:
    """Equal numbers of utterances: the difference of WA is a mean over speakers; Fisher's z keeps it in [-1, 1]."""
    one = drawn(12, 50, seed=8)
    rng = np.random.default_rng(8)
    worse = np.where(rng.random(600) < 0.2, (one.targets + 2) % 3, one.decisions)
    two = table(one.targets, worse, list(one.speakers))
    each = np.array(
        [
            (a.targets == a.decisions).mean() - (b.targets == b.decisions).mean()
            for a, b in zip(_by_speaker(one), _by_speaker(two), strict=True)
        ]
    )
    z, error = np.arctanh(each.mean()), each.std(ddof=1) / np.sqrt(12) / (1 - each.mean() ** 2)
    expected = np.tanh(z + np.array([-1, 1]) * student.ppf(0.975, 11) * error)
    assert paired_intervals(one, two, draws=100_000)["wa"] == pytest.approx(tuple(expected), abs=2e-3)


def test_a_shift_shared_by_both_systems_cancels() -> None:
    """Systems that differ by one utterance a speaker, though speakers differ widely: the paired interval is narrow."""
    counts = [2, 4, 6, 8, 10, 12]
    speakers = [f"s{i}" for i in range(6) for _ in range(20)]
    targets = np.tile(np.arange(20) % 2, 6)
    rank = np.tile(np.arange(20), 6)
    one, two = (
        table(targets, np.where(rank < np.repeat(counts, 20) + more, targets, 1 - targets), speakers) for more in (1, 0)
    )
    assert paired_intervals(one, two)["wa"] == pytest.approx((0.05, 0.05))
    low, high = intervals(one)["wa"] or (0, 0)
    assert high - low > 0.2


def test_swapping_the_systems_mirrors_the_interval() -> None:
    one, two = drawn(6, 30, seed=9), drawn(6, 30, seed=10)
    there, back = paired_intervals(one, two)["uar"], paired_intervals(two, one)["uar"]
    assert there is not None and back is not None
    assert there == pytest.approx((-back[1], -back[0]))


def test_different_speakers_or_classes_are_refused() -> None:
    one, two = drawn(4, 5, seed=0), drawn(5, 5, seed=0)
    with pytest.raises(UserError, match="speakers s04"):
        paired_intervals(one, two)
    other = Predictions(["a", "b", "x"], two.ids, two.speakers, two.parts, ["a"] * 25, two.logits)
    with pytest.raises(UserError, match="different classes"):
        paired_intervals(two, other)
