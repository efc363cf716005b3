"""What a published table consists of, from conf/reproduce/NAME.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.config.components import hint
from ser_lightning.config.sources import layers
from ser_lightning.errors import ConfigError

Percentages = tuple[float, float]
"""WA and UA in percent, as they were published."""


@dataclass(frozen=True)
class Protocol:
    """A split, and whether the epoch is also chosen on the test part, as papers that have no validation part do."""

    name: str
    title: str
    note: str
    words: Sequence[str]
    selected_on_test: bool


@dataclass(frozen=True)
class RecipeRow:
    """A model that is trained (`words`), or rows whose logits are averaged (`fuse`)."""

    name: str
    title: str
    words: Sequence[str] = ()
    fuse: Sequence[str] = ()
    published: Percentages | None = None
    logged: Mapping[str, Percentages] | None = None
    """By the best test epoch of each fold (`best`) and by the last epoch (`last`)."""


@dataclass(frozen=True)
class Recipe:
    """`base` are the words that all trainings share."""

    name: str
    base: Sequence[str]
    protocols: Sequence[Protocol]
    rows: Sequence[RecipeRow]


@dataclass(frozen=True)
class Found:
    """One row's cross-validation or fusion under one protocol; `result` is None where it failed, and `why` says why."""

    protocol: Protocol
    row: RecipeRow
    result: dict[str, Any] | None
    why: str = ""


def recipe(name: str, folders: Sequence[Path]) -> Recipe:
    """Read a recipe, inheriting by `defaults` as groups do.

    Raises:
        ConfigError: there is none of that name, or its file is wrong.
    """
    found, _ = layers("reproduce", name, folders)
    tree: dict[str, Any] = {}
    for layer in found:
        tree = _over(tree, layer.values)
    try:
        protocols = [Protocol(key, **_fixed(values)) for key, values in tree["protocols"].items()]
        rows = [RecipeRow(key, **_fixed(values)) for key, values in tree["rows"].items()]
        return _checked(Recipe(name, tree["base"], protocols, rows))
    except KeyError as error:
        raise ConfigError(f"conf/reproduce/{name}.yaml: `{error.args[0]}` is missing") from error
    except (AttributeError, TypeError) as error:
        raise ConfigError(f"conf/reproduce/{name}.yaml: is of the wrong shape ({error})") from error


def _fixed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Lists as tuples: a protocol is told from another by its value."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _over(merged[key], value) if nested else value
    return merged


def _checked(found: Recipe) -> Recipe:
    words = {"base": found.base} | {f"protocols.{p.name}.words": p.words for p in found.protocols}
    words |= {f"rows.{row.name}.{key}": getattr(row, key) for row in found.rows for key in ("words", "fuse")}
    for key, given in words.items():
        if not isinstance(given, list | tuple) or not all(isinstance(word, str) for word in given):
            raise ConfigError(f"conf/reproduce/{found.name}.yaml: {key} is a list of words, such as [seed=1]")
    trained = [row.name for row in found.rows if row.words]
    for row in found.rows:
        if bool(row.words) == bool(row.fuse):
            raise ConfigError(f"conf/reproduce/{found.name}.yaml: row `{row.name}` needs `words`, or else `fuse`")
        for member in row.fuse:
            if member not in trained:
                raise ConfigError(
                    f"conf/reproduce/{found.name}.yaml: row `{row.name}` fuses `{member}`{hint(member, trained)}"
                )
    return found
