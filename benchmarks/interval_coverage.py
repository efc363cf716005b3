"""How often a nominal 95 % interval holds the true score when speakers differ.

`python benchmarks/interval_coverage.py`, about three minutes on one core.

A speaker's log-odds of being recognised are mean + effect of the speaker + effect of speaker and class, all normal. Two
systems share these effects; each has one more of its own. The true score is the mean over all speakers there could be,
by Gauss-Hermite quadrature. Compared are the project's interval (`speakers`), the percentiles of the same resamples
(`percentile`) and those of resampled rows, which takes utterances as independent (`rows`); Δ UAR is of the two systems.
Also written to benchmarks/results/interval_coverage.json.
"""

from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy.special import expit

from ser_lightning.evaluation.bootstrap import intervals_of_counts, paired_intervals_of_counts, resamples, uar, wa
from ser_lightning.files import write_json

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SIMULATIONS, DRAWS, LEVEL = 1500, 1000, 0.95
SPEAKERS = (3, 6, 10, 24)
GAIN = 0.4
"""Log-odds by which the second system is better."""
FIGURES = ("UAR", "WA", "Δ UAR")
METHODS = ("speakers", "percentile", "rows")


@dataclass(frozen=True)
class World:
    """`mean` log-odds and `share` of each class; standard deviations of the effects; least and most utterances."""

    name: str
    mean: tuple[float, ...]
    share: tuple[float, ...]
    speaker: float
    within: float
    own: float
    utterances: tuple[int, int]

    def outcomes(self, speakers: int, rng: np.random.Generator) -> Counts:
        """Utterances (S, K, 4) that both systems have right, the first alone, the second alone, neither."""
        total = rng.integers(*self.utterances, speakers, endpoint=True)
        true = np.stack([rng.multinomial(n, self.share) for n in total])
        shared = self.mean + rng.normal(0, self.speaker, (speakers, 1)) + rng.normal(0, self.within, true.shape)
        one, two = (expit(shared + gain + rng.normal(0, self.own, (speakers, 1))) for gain in (0.0, GAIN))
        joint = [one * two, one * (1 - two), (1 - one) * two, (1 - one) * (1 - two)]
        return rng.multinomial(true, np.stack(joint, axis=-1))

    def truth(self) -> tuple[float, float, float]:
        """FIGURES of all speakers: means of the logistic function over normal effects."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(99)
        spread = np.sqrt(self.speaker**2 + self.within**2 + self.own**2)
        one, two = (
            expit(np.array(self.mean)[:, None] + gain + spread * nodes) @ weights / weights.sum() for gain in (0, GAIN)
        )
        return one.mean(), float(one @ self.share), two.mean() - one.mean()


FOUR, SEVEN = (0.3, 0.8, 1.2, 0.6), (2.5, 1.5, 1.0, 2.0, 2.0, 2.2, 3.0)
WORLDS = (
    World("4 classes", FOUR, (0.25,) * 4, 0.5, 0.5, 0.4, (30, 80)),
    World("7 classes, good systems", SEVEN, (0.24, 0.15, 0.1, 0.13, 0.13, 0.12, 0.13), 0.7, 0.7, 0.4, (30, 80)),
    World("2 classes, speakers far apart", (1.5, 0.3), (0.7, 0.3), 1.0, 0.3, 0.4, (20, 40)),
    World("4 classes, speakers all alike", FOUR, (0.25,) * 4, 0.0, 0.0, 0.0, (30, 80)),
)


def confusions(outcomes: Counts) -> tuple[Counts, Counts]:
    """Confusion matrices (S, K, K) of both systems; every error falls on the next class."""
    identity, true = np.eye(outcomes.shape[1], dtype=np.int64), outcomes.sum(2)
    rights = (outcomes[:, :, [0, column]].sum(2) for column in (1, 2))
    one, two = (
        right[:, :, None] * identity + (true - right)[:, :, None] * np.roll(identity, 1, axis=1) for right in rights
    )
    return one, two


def percentiles(resampled: Floats) -> tuple[float, float]:
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def of_rows(outcomes: Counts, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Percentile intervals of FIGURES from resampled rows, whoever spoke them."""
    pooled = outcomes.sum(0)
    cells = rng.multinomial(pooled.sum(), pooled.ravel() / pooled.sum(), DRAWS).reshape(-1, *pooled.shape)
    true = cells.sum(2)
    one, two = (cells[:, :, [0, column]].sum(2) for column in (1, 2))
    occurs = np.maximum(true, 1)
    uars = [(right / occurs).sum(1) / (true > 0).sum(1) for right in (one, two)]
    return [percentiles(values) for values in (uars[0], one.sum(1) / true.sum(1), uars[1] - uars[0])]


def all_intervals(outcomes: Counts, number: int) -> dict[str, list[tuple[float, float]]]:
    """By METHODS, in the order of FIGURES."""
    one, two = confusions(outcomes)
    weights = resamples(len(one), DRAWS, number)
    single = intervals_of_counts(one, LEVEL, DRAWS, number)
    ours = [single["uar"], single["wa"], paired_intervals_of_counts(two, one, LEVEL, DRAWS, number)["uar"]]
    resampled = [uar(one, weights), wa(one, weights), uar(two, weights) - uar(one, weights)]
    return {
        "speakers": [found for found in ours if found],
        "percentile": [percentiles(values) for values in resampled],
        "rows": of_rows(outcomes, np.random.default_rng(number)),
    }


def coverage(world: World, speakers: int) -> dict[str, dict[str, float]]:
    """Shares (by method and figure) of intervals that hold the truth."""
    rng, truth = np.random.default_rng(speakers), world.truth()
    hits = dict.fromkeys(METHODS, np.zeros(len(FIGURES)))
    for number in range(SIMULATIONS):
        for method, found in all_intervals(world.outcomes(speakers, rng), number).items():
            inside = [low <= true <= high for (low, high), true in zip(found, truth, strict=True)]
            hits[method] = hits[method] + inside
    return {name: dict(zip(FIGURES, (hits[name] / SIMULATIONS).tolist(), strict=True)) for name in METHODS}


def error(share: float) -> float:
    """Monte-Carlo standard error of a share of SIMULATIONS."""
    return float(np.sqrt(share * (1 - share) / SIMULATIONS))


def table(found: list[tuple[World, int, dict[str, dict[str, float]]]]) -> Table:
    shown = Table(title=f"Coverage of nominal {LEVEL:.0%} intervals, in %")
    shown.caption = (
        f"Monte-Carlo standard error: {100 * error(LEVEL):.1f} at {LEVEL:.0%}, nowhere above {100 * error(0.5):.1f}"
    )
    shown.add_column("world", no_wrap=True)
    shown.add_column("number of\nspeakers", justify="right")
    for figure, method in product(FIGURES, METHODS):
        shown.add_column(f"{figure}\n{method}", justify="right")
    for world, speakers, shares in found:
        cells = (shares[method][figure] for figure, method in product(FIGURES, METHODS))
        last = speakers == SPEAKERS[-1]
        shown.add_row(world.name, str(speakers), *(f"{100 * share:.1f}" for share in cells), end_section=last)
    return shown


def main() -> None:
    cells = list(product(WORLDS, SPEAKERS))
    found = [(world, speakers, coverage(world, speakers)) for world, speakers in track(cells, "simulating")]
    Console(width=140).print(table(found))
    settings = {
        "simulations": SIMULATIONS,
        "draws": DRAWS,
        "level": LEVEL,
        "gain": GAIN,
        "error_at_level": error(LEVEL),
    }
    rows = [{"world": asdict(world), "truth": world.truth(), "speakers": n, "coverage": c} for world, n, c in found]
    write_json(Path(__file__).parent / "results" / "interval_coverage.json", {**settings, "rows": rows})


if __name__ == "__main__":
    main()
