"""What parameters say of other keys: which they wait for, and whether those can be what they ask."""

from collections.abc import Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from ser_lightning.config.components import hint
from ser_lightning.config.tree import has, leaves
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.parameters import Derived, Parameter

Choices = Mapping[str, Mapping[str, Any]]
"""Sections by group and choice."""


def sources(p: Parameter) -> list[str]:
    """The other keys that a parameter looks at."""
    return [*p.when, *([p.of] if isinstance(p, Derived) else [])]


def provides(p: Parameter, key: str) -> bool:
    """Whether a parameter can change what a key has: it sets the key, or a mapping above it."""
    return key == p.key or key.startswith(f"{p.key}.")


def ordered(parameters: Mapping[str, Parameter]) -> list[Parameter]:
    """Each after those that it looks at, else as they were written.

    Raises:
        ConfigError: parameters wait for each other.
    """
    graph = {
        p.key: [q.key for q in parameters.values() if any(provides(q, key) for key in sources(p))]
        for p in parameters.values()
    }
    try:
        return [parameters[key] for key in TopologicalSorter(graph).static_order()]
    except CycleError as error:
        circle = " > ".join(reversed(error.args[1]))
        raise ConfigError(f"space: parameters wait for each other ({circle}); break the circle") from error


def check_references(parameters: Mapping[str, Parameter], base: Mapping[str, Any], choices: Choices) -> None:
    """Raises ConfigError: `when` or `of` names an unknown key, or `when` a value that its key never has."""
    sections = [{group: section} for group, found in choices.items() for section in found.values()]
    for p in parameters.values():
        for key in sources(p):
            if key not in parameters:
                _check_known(p.key, key, base, [base, *sections])
        for key, allowed in p.when.items():
            _check_taken(p.key, key, allowed, parameters.get(key))


def _check_known(name: str, key: str, base: Mapping[str, Any], trees: list[Mapping[str, Any]]) -> None:
    if has(base, f"{key}.name") and key in base:
        raise ConfigError(f"space.{name}: the group {key} is not searched; ask for its {key}.name")
    if not any(has(tree, key) for tree in trees):
        known = {leaf for tree in trees for leaf, _ in leaves(tree)}
        section = key.partition(".")[0]
        near = {leaf for leaf in known if leaf.startswith(f"{section}.")} or {leaf.partition(".")[0] for leaf in known}
        raise ConfigError(f"space.{name}: `{key}` is neither searched nor in the base{hint(key, sorted(near))}")


def _check_taken(name: str, key: str, allowed: tuple[Any, ...], source: Parameter | None) -> None:
    if source is None or isinstance(source, Derived):
        return
    for value in allowed:
        try:
            source.encode(value)
        except ValueError as error:
            raise ConfigError(f"space.{name}: `when` {key}: {error}") from error
