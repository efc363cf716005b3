"""What stands under one key of a search space: a range, choices, or a value derived from another key's."""

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution
from optuna.trial import BaseTrial

Scalar = None | bool | int | float | str
"""What Optuna can store of a categorical parameter."""

Conditions = Mapping[str, tuple[Any, ...]]
"""Other keys, each with the values of which it must have one."""


@dataclass(frozen=True)
class Range:
    """Whole or real numbers between two ends, both included, with an optional step or on a logarithmic scale."""

    key: str
    when: Conditions
    distribution: IntDistribution | FloatDistribution

    @property
    def corners(self) -> list[Any]:
        """Both ends, and what stands a step above the lower one: with it any derived value shows its kind."""
        low, high, step = self.distribution.low, self.distribution.high, self.distribution.step
        return list(dict.fromkeys([low, high, low if step is None else min(low + step, high)]))

    @property
    def endless(self) -> bool:
        """Whether its values cannot be counted."""
        return isinstance(self.distribution, FloatDistribution) and self.distribution.step is None

    def suggest(self, trial: BaseTrial) -> Any:
        d = self.distribution
        if isinstance(d, IntDistribution):
            return trial.suggest_int(self.key, d.low, d.high, step=d.step, log=d.log)
        return self.decode(trial.suggest_float(self.key, d.low, d.high, step=d.step, log=d.log))

    def encode(self, value: Any) -> Scalar:
        """Raises ValueError: the value is not in the range."""
        d = self.distribution
        kinds = int if isinstance(d, IntDistribution) else (int, float)
        if not isinstance(value, kinds) or isinstance(value, bool) or not d.low <= value <= d.high:
            raise ValueError(f"{value} is not in {self}")
        if d.step is not None and not math.isclose(steps := (value - d.low) / d.step, round(steps), abs_tol=1e-8):
            raise ValueError(f"{value} is not in {self}")
        return type(d.low)(value)

    def decode(self, stored: Any) -> Any:
        # three steps of 0.1 are 0.30000000000000004, which would stand so in every table
        in_steps = isinstance(self.distribution, FloatDistribution) and self.distribution.step is not None
        return float(f"{stored:.12g}") if in_steps else stored

    def __str__(self) -> str:
        d = self.distribution
        step = f" in steps of {d.step}" if d.step is not None and not d.log else ""
        return f"{d.low} to {d.high}{step}"


@dataclass(frozen=True)
class Choice:
    """Values of any kind; `labels` are what Optuna stores in their place."""

    key: str
    when: Conditions
    values: tuple[Any, ...]

    @property
    def labels(self) -> list[Scalar]:
        return [label(value) for value in self.values]

    @property
    def corners(self) -> list[Any]:
        return list(self.values)

    def suggest(self, trial: BaseTrial) -> Any:
        return self.decode(trial.suggest_categorical(self.key, self.labels))

    def encode(self, value: Any) -> Scalar:
        """Raises ValueError: it is no choice."""
        if value in self.values:
            return self.labels[self.values.index(value)]
        raise ValueError(f"{label(value)} is not among {self}")

    def decode(self, stored: Any) -> Any:
        return copy.deepcopy(self.values[self.labels.index(stored)])

    def __str__(self) -> str:
        return " | ".join(str(one) for one in self.labels)


@dataclass(frozen=True)
class Derived:
    """`times` the value that key `of` has in the trial; any value is copied where `times` is 1."""

    key: str
    when: Conditions
    of: str
    times: float = 1

    def value(self, source: Any) -> Any:
        """Whole numbers stay whole where the product is.

        Raises:
            ValueError: no number to multiply.
        """
        if self.times == 1:
            return copy.deepcopy(source)
        if isinstance(source, bool) or not isinstance(source, int | float):
            raise ValueError(f"{self.of} is {source}, which is no number to multiply by {self.times:g}")
        product = source * self.times
        return int(product) if isinstance(source, int) and float(product).is_integer() else product


Searched = Range | Choice
Parameter = Range | Choice | Derived


def label(value: Any) -> Scalar:
    """Text for a mapping or a list, such as `n_fft 512, hop 256`; what Optuna can store stays as it is."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {label(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return f"[{', '.join(str(label(inner)) for inner in value)}]"
    return value  # type: ignore[no-any-return]
