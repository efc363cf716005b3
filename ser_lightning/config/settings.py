"""What a verb takes beside a configuration: `jobs=2`, `runs_dir=...`; a dataclass is the schema here too."""

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config.components import hint
from ser_lightning.config.overrides import Override, parse, value
from ser_lightning.config.places import expand
from ser_lightning.config.signature import parameters
from ser_lightning.errors import ConfigError

Settings = TypeVar("Settings")


def taken(kind: type[Settings], words: Sequence[str]) -> tuple[Settings, list[str]]:
    """The settings among `words`, and the words that are none.

    Raises:
        ConfigError: a value is of the wrong type.
    """
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    own = [word for word in words if word.partition("=")[0] in known and "=" in word]
    return _made(kind, parse(own)), [word for word in words if word not in own]


def names_and(kind: type[Settings], words: Sequence[str]) -> tuple[list[str], Settings]:
    """Leading names, then settings and nothing else.

    Raises:
        ConfigError: an unknown key, or a value of the wrong type.
    """
    settings, rest = taken(kind, words)
    for override in parse([word for word in rest if "=" in word]):
        raise ConfigError(f"unknown setting `{override.key}`{hint(override.key, docs(kind))}")
    return rest, settings


def docs(kind: type) -> Mapping[str, str]:
    """What each field means, by name; those of base classes first."""
    paths = [f"{c.__module__}:{c.__qualname__}" for c in reversed(kind.__mro__) if c is not object]
    return {p.name: p.doc for path in paths for p in parameters(path, alone=False)}


def _made(kind: type[Settings], given: Sequence[Override]) -> Settings:
    hints = get_type_hints(kind)
    tree: Any = {one.key: value(one.text, hints[one.key]) for one in given}
    for one in given:
        _check_list(one, tree[one.key], hints[one.key])
    try:
        merged = OmegaConf.merge(OmegaConf.structured(kind), tree)
        return kind(**expand(OmegaConf.to_container(merged)))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or ", ".join(one.key for one in given)
        raise ConfigError(f"`{key}`: {str(error).partition(chr(10))[0]}") from error


def _check_list(given: Override, read: Any, kind: Any) -> None:
    """Raises ConfigError: one value where the schema wants a list, of which OmegaConf speaks in its own terms."""
    wanted = any(get_origin(one) is list for one in (kind, *get_args(kind)))
    if wanted and not isinstance(read, list | types.NoneType):
        raise ConfigError(f"`{given.key}={given.text}`: takes a list; write {given.key}=[{given.text},...]")
