"""Lengths that are shown, and those unlike the others."""

from pathlib import Path

import pytest

from ser_lightning.corpora.lengths import outliers, summary
from ser_lightning.corpora.utterance import Utterance


def utterances(*seconds: float) -> list[Utterance]:
    return [Utterance(f"{i}", Path(f"{i}.wav"), "", "s", "", "x", "", s, 16_000, 1) for i, s in enumerate(seconds)]


def test_the_summary() -> None:
    assert summary(utterances(2.0, 1.0, 9.0, 4.0)) == (
        "lengths: shortest 1.000 s, median 3.000 s, longest 9.000 s, total 16.0 s"
    )


@pytest.mark.parametrize(
    ("seconds", "far"),
    [
        ([2.0] * 119 + [300.0], {"119.wav"}),
        ([2.0] * 40 + [5.9, 0.7], set()),
        ([2.0] * 40 + [6.1, 0.6], {"40.wav", "41.wav"}),
        # As many at 1 as at 2 and at 4 s: half depart by a factor of two or more, of which five sigmas make 170.
        ([1.0, 2.0, 4.0] * 10 + [300.0, 0.02], set()),
        ([1.0, 2.0, 4.0] * 10 + [400.0, 0.01], {"30.wav", "31.wav"}),
        # A third of outliers doesn't hide them.
        ([2.0] * 20 + [60.0] * 10, {f"{i}.wav" for i in range(20, 30)}),
        ([2.0] * 18 + [300.0], set()),
        ([], set()),
    ],
)
def test_outliers(seconds: list[float], far: set[str]) -> None:
    found = list(outliers(utterances(*seconds)))
    assert {problem.path.name for problem in found} == far
    assert all(problem.kind == "length" and not problem.fatal for problem in found)
