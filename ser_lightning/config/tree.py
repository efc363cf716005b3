"""Configurations as plain nested mappings: reading and setting a dotted key."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

SELECTORS = ("name", "extractor")
"""Keys that say which component a mapping configures, and so which other keys it has."""


def at(tree: Any, key: str) -> Any:
    """The value at a dotted key.

    Raises:
        KeyError: there is none.
    """
    for part in key.split("."):
        if not isinstance(tree, Mapping) or part not in tree:
            raise KeyError(key)
        tree = tree[part]
    return tree


def has(tree: Any, key: str) -> bool:
    try:
        at(tree, key)
    except KeyError:
        return False
    return True


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key. A mapping is merged over the one that is there, unless it selects another component."""
    *above, last = key.split(".")
    for part in above:
        below = tree.get(part)
        tree[part] = below if isinstance(below, dict) else {}
        tree = tree[part]
    there = tree.get(last)
    if isinstance(value, Mapping) and isinstance(there, dict) and _same_component(there, value):
        for name, inner in value.items():
            put(there, name, inner)
    else:
        tree[last] = copy.deepcopy(value)


def leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; an empty mapping is a value."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _same_component(there: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return all(value.get(key, there.get(key)) == there.get(key) for key in SELECTORS)
