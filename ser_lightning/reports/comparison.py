"""Systems side by side: what each scores, and for each pair how they differ and how sure that is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from ser_lightning.evaluation.significance import Test, holm
from ser_lightning.evaluation.summary import summarise
from ser_lightning.reports.pair import SUITED, Metric, Pair
from ser_lightning.reports.system import System


@dataclass(frozen=True)
class Compared:
    """One system: `letter` is what the tables call it, `figures` is evaluation/summary.py's."""

    letter: str
    name: str
    kind: str
    labels: Sequence[str]
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class TestOutcome:
    """A test of one pair; `adjusted` is Holm's p over the `m` pairs for which this test gave one."""

    test: str
    p: float | None
    adjusted: float | None
    m: int
    note: str


@dataclass(frozen=True)
class Difference:
    """First minus second, as a fraction, with its interval (None: too few speakers)."""

    a: str
    b: str
    metric: Metric
    value: float
    interval: tuple[float, float] | None
    tests: Sequence[TestOutcome]


@dataclass(frozen=True)
class Comparison:
    """Of the same test utterances; `caveats` say what the figures must not be read without."""

    utterances: int
    speakers: int
    seeds: int
    systems: Sequence[Compared]
    differences: Sequence[Difference]
    level: float
    """Of all intervals."""
    caveats: Sequence[str]


def compared(letter: str, system: System) -> Compared:
    return Compared(letter, system.name, system.kind, system.labels, summarise(system.pooled, system.results))


def differences(systems: Mapping[str, System]) -> list[Difference]:
    """Every pair in each metric; `systems` by letter, all of the same utterances, equally often."""
    pairs = {(a, b): Pair(systems[a], systems[b]) for a, b in combinations(systems, 2)}
    return [found for metric in SUITED for found in _in_metric(metric, pairs)]


def _in_metric(metric: Metric, pairs: Mapping[tuple[str, str], Pair]) -> Iterator[Difference]:
    columns = [adjusted(name, [pair.test(name, metric) for pair in pairs.values()]) for name in SUITED[metric]]
    for ((a, b), pair), *outcomes in zip(pairs.items(), *columns, strict=True):
        yield Difference(a, b, metric, pair.value(metric), pair.interval(metric), outcomes)


def adjusted(name: str, tests: Sequence[Test]) -> list[TestOutcome]:
    """One test on all pairs; those that it does not suit are no members of Holm's family."""
    given = [test.p for test in tests if test.p is not None]
    after = iter(holm(given))
    return [TestOutcome(name, test.p, None if test.p is None else next(after), len(given), test.note) for test in tests]
