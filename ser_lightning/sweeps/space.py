"""A search space: which keys of the configuration a trial sets, and to what."""

import itertools
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from optuna.trial import BaseTrial

from ser_lightning.config.components import hint
from ser_lightning.config.tree import at, has, put
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.parameters import Choice, Derived, Parameter, Scalar, Searched, label
from ser_lightning.sweeps.references import Choices, check_references, ordered
from ser_lightning.sweeps.written import parameter

ABSENT = object()
"""What a key has that the trial's configuration lacks: equal to nothing."""


class Space:
    """Parameters in an order in which each comes after those that decide whether, or to what, it is set.

    Attribute `parameters` has them in that order; `searched`, by key, those that are drawn and not derived.

    Args:
        written: parameters by dotted key, as in the sweep file.
        base: the plain configuration that trials start from.
        choices: the sections that the choices of searched groups stand for.

    Raises:
        ConfigError: a parameter has no known form, a `when` or `of` names an unknown key or a value that is never
            taken, parameters wait for each other, or two set one key.
    """

    def __init__(self, written: Mapping[str, Any], base: Mapping[str, Any], choices: Choices) -> None:
        self._base, self._choices = base, choices
        parameters = {key: parameter(key, value) for key, value in written.items()}
        check_references(parameters, base, choices)
        self.parameters = ordered(parameters)
        self.searched: dict[str, Searched] = {p.key: p for p in self.parameters if not isinstance(p, Derived)}
        for p, other in itertools.permutations(self.parameters, 2):
            if self.sets(p, other.key):
                raise ConfigError(f"space.{other.key}: the choices of {p.key} set it too; leave one of them out")

    @property
    def names(self) -> list[str]:
        """Keys that are drawn, which are the names of Optuna's parameters."""
        return list(self.searched)

    def suggest(self, trial: BaseTrial) -> dict[str, Any]:
        """Values by dotted key: drawn and derived ones, conditional ones only where they hold."""
        return self._walk(lambda p: p.suggest(trial))

    def values(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial from the parameters that Optuna stored of it."""
        return self._walk(lambda p: p.decode(stored[p.key]))

    def walk(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a trial that draws these; what is not given takes its first value."""
        return self._walk(lambda p: values.get(p.key, p.corners[0]))

    def fixed(self, point: Mapping[str, Any]) -> dict[str, Scalar]:
        """What `study.enqueue_trial` takes for a starting point, which may leave keys open.

        Raises:
            ConfigError: a key is not searched or not set where the others hold, or a value is outside its range.
        """
        return {key: self._encode(key, value, point) for key, value in point.items()}

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The base's configuration with these values: groups first, then whole objects, then single keys."""
        tree = deepcopy(dict(self._base))
        for key, value in values.items():
            if self.is_group(key):
                tree[key] = deepcopy(self._choices[key][value])
        for key in sorted(values.keys() - self._choices.keys(), key=lambda key: key.count(".")):
            put(tree, key, values[key])
        return tree

    def is_group(self, key: str) -> bool:
        """Whether the key is a group of conf/ that is searched as a whole."""
        return key in self._choices

    def sets(self, p: Parameter, key: str) -> bool:
        """Whether a parameter says what a key has; a group's choice only says what its keys have at first."""
        inside = key.removeprefix(f"{p.key}.")
        if inside == key or self.is_group(p.key):
            return key == p.key
        return isinstance(p, Choice) and any(has(value, inside) for value in p.values)

    def _walk(self, pick: Callable[[Searched], Any]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for p in self.parameters:
            if all(self._seen(key, values) in allowed for key, allowed in p.when.items()):
                values[p.key] = self._derive(p, values) if isinstance(p, Derived) else pick(p)
        return values

    def _seen(self, key: str, values: Mapping[str, Any]) -> Any:
        """The value of a key in the trial so far."""
        if key in values:
            return values[key]
        tree = {} if self.is_group(key) else self.apply(values)
        return at(tree, key) if has(tree, key) else ABSENT

    def _derive(self, p: Derived, values: Mapping[str, Any]) -> Any:
        source = self._seen(p.of, values)
        if source is ABSENT:
            raise ConfigError(f"space.{p.key}: {p.of} does not exist with {said(values)}; add `when`")
        try:
            return p.value(source)
        except ValueError as error:
            raise ConfigError(f"space.{p.key}: {error}") from error

    def _encode(self, key: str, value: Any, point: Mapping[str, Any]) -> Scalar:
        if key not in self.searched:
            raise ConfigError(f"start: `{key}` is not searched{hint(key, self.names)}")
        p = self.searched[key]
        for other, allowed in p.when.items():
            if other in point and point[other] not in allowed:
                raise ConfigError(f"start: {key} is not set where {other} is {label(point[other])}; leave it out")
        try:
            return p.encode(value)
        except ValueError as error:
            raise ConfigError(f"start: {key}: {error}") from error


def said(values: Mapping[str, Any]) -> str:
    """A trial's values for people: `model=fused model.hidden_dim=64`."""
    return " ".join(f"{key}={label(value)}" for key, value in values.items()) or "the base's values"
