"""Two systems of the same test utterances: their difference, and the tests that suit how they were run."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Literal

import numpy as np

from ser_lightning.evaluation.bootstrap import paired_intervals
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.significance import Test, corrected_resampled_t, mcnemar, permutation_by_speaker
from ser_lightning.files import read_json
from ser_lightning.reports.fitted import fitted_on
from ser_lightning.reports.system import System
from ser_lightning.runs.folder import RunFolder

Metric = Literal["uar", "wa"]
PERMUTATION, CORRECTED_T, MCNEMAR = "permutation by speaker", "corrected resampled t", "McNemar"
SUITED: Mapping[Metric, tuple[str, ...]] = {
    "uar": (PERMUTATION, CORRECTED_T),
    "wa": (PERMUTATION, CORRECTED_T, MCNEMAR),
}
"""McNemar's test is of decisions right and wrong, which is what WA counts; UAR weighs them by class."""
LEVEL = 0.95


class Pair:
    """`a` minus `b`; both test the same utterances equally often."""

    def __init__(self, a: System, b: System) -> None:
        self.systems = a, b
        self.a, self.b = a.pooled, b.pooled

    def value(self, metric: Metric) -> float:
        """Difference of the pooled figures, a fraction."""
        return _score(self.a.rows, metric) - _score(self.b.rows, metric)

    def interval(self, metric: Metric) -> tuple[float, float] | None:
        return self._intervals[metric]

    @cached_property
    def _intervals(self) -> dict[str, tuple[float, float] | None]:
        return paired_intervals(self.a.rows, self.b.rows, level=LEVEL)

    def test(self, name: str, metric: Metric) -> Test:
        """One of `SUITED[metric]`; its p is None, with the reason, where it does not suit."""
        if len({"speaker_dependent" in system.labels for system in self.systems}) == 2:
            return Test(name, None, "one is speaker_dependent: a p-value would be the protocol's, not the system's")
        tests: dict[str, Callable[[Metric], Test]] = {
            PERMUTATION: lambda metric: permutation_by_speaker(self.a.rows, self.b.rows, metric),
            CORRECTED_T: self._corrected_t,
            MCNEMAR: lambda _: mcnemar(self.a.rows, self.b.rows),
        }
        return tests[name](metric)

    def _corrected_t(self, metric: Metric) -> Test:
        """Over the folds and seeds of one partition."""
        ours, theirs = _by_place(self.a), _by_place(self.b)
        if not _same_folds(ours, theirs):
            return Test(CORRECTED_T, None, "the folds test different utterances: there are no differences fold by fold")
        if gone := [run.id for system in self.systems for run in _runs(system) if not run.proof.exists()]:
            return Test(CORRECTED_T, None, f"needs the sizes of the parts, but split_proof.json of {gone[0]} is gone")
        values = [_score(ours[place], metric) - _score(theirs[place], metric) for place in ours]
        # Where the systems trained on parts of different sizes, the smaller one, which gives the larger p.
        return corrected_resampled_t(np.array(values), max(map(_test_share, self.systems)))


def _by_place(pooled: Pooled) -> dict[tuple[int, int], Predictions]:
    """Rows by fold and the seed's rank: what two systems called their seeds does not matter."""
    rank = {seed: i for i, seed in enumerate(sorted(set(pooled.seeds.tolist())))}
    return {(fold, rank[seed]): pooled.at(fold, seed) for fold, seed in pooled.places}


def _same_folds(a: Mapping[tuple[int, int], Predictions], b: Mapping[tuple[int, int], Predictions]) -> bool:
    ours, theirs = ({place: sorted(rows.ids) for place, rows in found.items()} for found in (a, b))
    return ours == theirs


def _score(rows: Predictions, metric: Metric) -> float:
    return float(getattr(rows.scores(), metric))


def _test_share(system: System) -> float:
    """Mean over folds of n_test / n_train, where n_train counts what a model was fitted on; the least of a fusion's."""
    return float(np.mean([max(map(_share, runs)) for runs in system.runs.values()]))


def _share(run: RunFolder) -> float:
    sizes = read_json(run.proof)["utterances"]
    return float(sizes["test"] / sum(sizes[part] for part in fitted_on(run)))


def _runs(system: System) -> list[RunFolder]:
    return [run for runs in system.runs.values() for run in runs]
