"""Tests against scipy, and against every swap done one by one."""

from itertools import product
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from ser_lightning.errors import UserError
from ser_lightning.evaluation import significance
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.significance import corrected_resampled_t, holm, mcnemar, permutation_by_speaker

CLASSES = ["a", "b", "c"]
METRICS: list[Literal["uar", "wa"]] = ["uar", "wa"]


def table(targets: NDArray[np.int64], decisions: NDArray[np.int64], speakers: NDArray[np.int64]) -> Predictions:
    labels = [CLASSES[i] for i in targets]
    names = [f"s{i:02d}" for i in speakers]
    ids = [str(i) for i in range(len(labels))]
    return Predictions(CLASSES, ids, names, ["test"] * len(ids), labels, np.eye(3)[decisions])


def pair(speakers: int, each: int, seed: int, better: float = 0.15) -> tuple[Predictions, Predictions]:
    """Two systems on the same utterances, uneven in speakers and classes; the first right more often by `better`."""
    rng = np.random.default_rng(seed)
    who = np.sort(rng.choice(speakers, speakers * each))
    targets = rng.choice(3, len(who), p=[0.6, 0.3, 0.1])
    one, two = (
        np.where(rng.random(len(who)) < chance, targets, rng.integers(0, 3, len(who))) for chance in (0.3 + better, 0.3)
    )
    return table(targets, one, who), table(targets, two, who)


def metric_of(targets: NDArray[np.int64], decisions: NDArray[np.int64], metric: str) -> float:
    right = targets == decisions
    return float(right.mean() if metric == "wa" else np.mean([right[targets == k].mean() for k in np.unique(targets)]))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_equals_swapping_whole_speakers_row_by_row(metric: Literal["uar", "wa"], seed: int) -> None:
    a, b = pair(6, 12, seed)
    who = np.array([int(name[1:]) for name in a.speakers])
    observed = abs(metric_of(a.targets, a.decisions, metric) - metric_of(b.targets, b.decisions, metric))
    hits = []
    for swaps in product([False, True], repeat=6):
        swapped = np.array(swaps)[who]
        one, two = np.where(swapped, b.decisions, a.decisions), np.where(swapped, a.decisions, b.decisions)
        hits.append(abs(metric_of(a.targets, one, metric) - metric_of(a.targets, two, metric)) >= observed - 1e-9)
    found = permutation_by_speaker(a, b, metric)
    assert found.p == pytest.approx(np.mean(hits))
    assert "64 swaps" in found.note and f"{2 / 64:.2g}" in found.note


def test_equals_scipys_permutation_test() -> None:
    """With equal numbers of utterances WA is a mean over speakers, and the test is scipy's on paired samples."""
    rng = np.random.default_rng(0)
    who, targets = np.repeat(np.arange(9), 20), rng.integers(0, 3, 180)
    one, two = (np.where(rng.random(180) < chance, targets, (targets + 1) % 3) for chance in (0.7, 0.55))
    rates = [(found == targets).reshape(9, 20).mean(1) for found in (one, two)]
    expected = stats.permutation_test(
        rates, lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", vectorized=True
    )
    found = permutation_by_speaker(table(targets, one, who), table(targets, two, who), "wa")
    assert found.p == pytest.approx(expected.pvalue)


@pytest.mark.parametrize("metric", METRICS)
def test_random_swaps_agree_with_all_swaps(metric: Literal["uar", "wa"], monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = pair(12, 10, seed=1, better=0.05)
    exact = permutation_by_speaker(a, b, metric)
    monkeypatch.setattr(significance, "MOST_EXACT", 11)
    drawn = permutation_by_speaker(a, b, metric)
    assert exact.p is not None and 0.01 < exact.p < 0.9
    assert drawn.p == pytest.approx(exact.p, abs=4 * np.sqrt(exact.p * (1 - exact.p) / 20_000))
    assert "20,000 random swaps" in drawn.note


def test_random_swaps_never_give_zero() -> None:
    who, targets = np.repeat(np.arange(30), 10), np.zeros(300, dtype=np.int64)
    found = permutation_by_speaker(table(targets, targets, who), table(targets, targets + 1, who), "uar")
    assert found.p == pytest.approx(1 / 20_001)


def test_the_smallest_p_of_ten_speakers() -> None:
    who, targets = np.repeat(np.arange(10), 10), np.zeros(100, dtype=np.int64)
    found = permutation_by_speaker(table(targets, targets, who), table(targets, targets + 1, who), "uar")
    assert found.p == 2 / 2**10
    assert "0.002" in found.note


def test_equal_systems_have_p_one() -> None:
    a, _ = pair(5, 10, seed=0)
    assert permutation_by_speaker(a, a, "uar").p == 1
    assert mcnemar(a, a).p == 1


@pytest.mark.parametrize("metric", METRICS)
def test_p_is_uniform_where_there_is_no_difference(metric: Literal["uar", "wa"]) -> None:
    found = [permutation_by_speaker(*pair(8, 15, seed, better=0), metric).p for seed in range(400)]
    below = np.mean([p is not None and p <= 0.1 for p in found])
    assert 0.05 < below <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 400)


def test_rows_of_seeds_are_averaged() -> None:
    a, b = pair(6, 20, seed=2)
    assert permutation_by_speaker(a + a + a, b + b + b, "uar").p == permutation_by_speaker(a, b, "uar").p
    uneven = permutation_by_speaker(a + a + a, b, "uar")
    assert uneven.p == permutation_by_speaker(a, b, "uar").p
    assert "seeds" in uneven.note


def test_different_utterances_do_not_suit_and_different_speakers_are_refused() -> None:
    a, b = pair(6, 20, seed=3)
    fewer = permutation_by_speaker(a, b.rows(range(1, len(b.ids))), "uar")
    assert fewer.p is None and "different utterances" in fewer.note
    with pytest.raises(UserError, match="speakers s05"):
        permutation_by_speaker(a, b.rows([i for i, name in enumerate(b.speakers) if name != "s05"]), "uar")


DIFFERENCES = [0.02, -0.01, 0.03, 0.05, 0.01, 0.0, 0.04]


def test_without_shared_data_it_is_the_t_test() -> None:
    assert corrected_resampled_t(DIFFERENCES, 0).p == pytest.approx(stats.ttest_1samp(DIFFERENCES, 0).pvalue)


def test_correction_divides_t_as_published() -> None:
    """t of the plain test times sqrt((1/J) / (1/J + n_test/n_train))."""
    plain = stats.ttest_1samp(DIFFERENCES, 0).statistic
    expected = 2 * stats.t.sf(plain * np.sqrt((1 / 7) / (1 / 7 + 1 / 4)), 6)
    assert corrected_resampled_t(DIFFERENCES, 1 / 4).p == pytest.approx(expected)
    assert corrected_resampled_t([-value for value in DIFFERENCES], 1 / 4).p == pytest.approx(expected)


def test_by_hand() -> None:
    # mean 2, variance 1, J = 3, share 1: t = 2 / sqrt(4/3) = sqrt(3); with 2 degrees of freedom
    # p = 1 - t / sqrt(t^2 + 2) = 1 - sqrt(3/5).
    assert corrected_resampled_t([1, 2, 3], 1).p == pytest.approx(1 - np.sqrt(3 / 5))


@pytest.mark.parametrize(("differences", "p"), [([0.1], None), ([], None), ([0.1] * 3, None), ([0.0] * 3, 1.0)])
def test_nothing_to_estimate_a_variance_from(differences: list[float], p: float | None) -> None:
    found = corrected_resampled_t(differences, 0.25)
    assert found.p == p
    assert found.note


@pytest.mark.parametrize(
    ("differences", "share"), [([0.1, float("nan")], 0.1), ([0.1, 0.2], -0.1), ([0.1, 0.2], float("nan"))]
)
def test_t_of_no_numbers_is_an_error(differences: list[float], share: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        corrected_resampled_t(differences, share)


def test_mcnemar_counts_discordant_pairs() -> None:
    # 5 utterances right in a alone, 1 in b alone: p = 2 (C(6,0) + C(6,1)) / 2^6.
    targets = np.zeros(10, dtype=np.int64)
    a, b = np.array([0] * 5 + [1] + [0, 0, 1, 2]), np.array([1] * 5 + [0] + [0, 0, 2, 1])
    who = np.zeros(10, dtype=np.int64)
    found = mcnemar(table(targets, a, who), table(targets, b, who))
    assert found.p == pytest.approx(2 * 7 / 64)
    assert "5 against 1" in found.note and "independent" in found.note


@pytest.mark.parametrize("seed", range(3))
def test_mcnemar_matches_rows_by_id(seed: int) -> None:
    a, b = pair(5, 20, seed)
    order = np.random.default_rng(seed).permutation(len(b.ids))
    only_a, only_b = (
        int(((one.targets == one.decisions) & (two.targets != two.decisions)).sum()) for one, two in ((a, b), (b, a))
    )
    expected = min(1.0, 2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))
    assert mcnemar(a, b.rows(order)).p == pytest.approx(expected)


def test_mcnemar_does_not_suit_several_seeds_and_refuses_other_utterances() -> None:
    a, b = pair(3, 5, seed=0)
    assert mcnemar(a + a, b + b).p is None
    assert mcnemar(a, b + b).p is None
    with pytest.raises(UserError, match=rf"{a.ids[0]} \({a.labels[0]}\)"):
        mcnemar(a, b.rows(range(1, len(b.ids))))
    relabelled = Predictions(b.classes, b.ids, b.speakers, b.parts, ["c", *b.labels[1:]], b.logits)
    with pytest.raises(UserError, match="same labels"):
        mcnemar(a, relabelled)


def test_holm_by_hand() -> None:
    # sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, 0.5 x 1
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([0.03]) == [0.03]
    assert holm([]) == []


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_step_down_procedure_rejects(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.3, 3, 6)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, index in enumerate(np.argsort(p)):
            if p[index] > level / (6 - rank):
                break
            rejected.add(int(index))
        assert {i for i, adjusted in enumerate(holm(p.tolist())) if adjusted <= level} == rejected


@pytest.mark.parametrize("p", [[0.1, 1.2], [-0.1], [float("nan")]])
def test_holm_of_no_probability_is_an_error(p: list[float]) -> None:
    with pytest.raises(ValueError, match="not probabilities"):
        holm(p)
