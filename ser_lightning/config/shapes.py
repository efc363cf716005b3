"""Which type the schema has at a dotted key, and whether values have that type's shape: one, a list or a mapping."""

import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING as NOTHING
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ser_lightning.config.components import hint, table
from ser_lightning.config.yaml_text import shown
from ser_lightning.errors import ConfigError

Made = TypeVar("Made")
MISSING = "???"
"""How YAML files and OmegaConf write a value that is still to be given."""


def missing_keys(tree: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted keys of the values still to be given."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from missing_keys(value, f"{prefix}{name}.")
        elif value == MISSING:
            yield f"{prefix}{name}"


def type_at(kind: Any, key: str) -> Any:
    """The schema's type of a dotted key; Any where the schema goes no deeper.

    Raises:
        ConfigError: the schema has no such key.
    """
    seen = ""
    for part in key.split("."):
        if get_origin(kind) is dict:
            kind, seen = get_args(kind)[1], f"{seen}.{part}"
            continue
        if not _is_section(kind):
            return Any
        known = get_type_hints(kind)
        if part not in known:
            where = f" (`{seen}` has no such key)" if seen else ""
            raise ConfigError(f"unknown key `{key}`{where}{hint(part, known)}")
        kind, seen = known[part], f"{seen}.{part}".lstrip(".")
    return kind


def check_shapes(kind: Any, tree: Mapping[str, Any], place: Callable[[str], str], prefix: str = "") -> None:
    """Compare the shapes of all values whose key the schema knows; `place` says where a key's value comes from.

    Raises:
        ConfigError: one value where the schema has a list or a mapping, or no text where it has text.
    """
    known = get_type_hints(kind)
    for name, value in tree.items():
        key, expected = f"{prefix}{name}", known.get(name)
        if _is_section(expected) and isinstance(value, dict):
            check_shapes(expected, value, place, f"{key}.")
        elif not _is_open(value) and (remedy := _remedy(expected, key, value)):
            raise ConfigError(f"{remedy}{place(key)}")
        else:
            check_text(expected, key, value, place(key))


def check_text(kind: Any, key: str, value: Any, place: str = "") -> None:
    """Raises ConfigError: YAML has read something else where `kind` allows text alone, such as 8 for 010."""
    if only_text(kind) and (odd := list(_not_text(kind, value))):
        read = ", ".join(map(shown, odd))
        raise ConfigError(f"`{key}`{place}: YAML reads {read} here, and text is wanted: put it in quotes")


def made(kind: type[Made], values: Mapping[str, Any], file: Path) -> Made:
    """A dataclass of texts and lists from a file's values.

    Raises:
        ConfigError: a key is unknown or missing, or a value is of the wrong type.
    """
    known = get_type_hints(kind)
    for key in values.keys() - known.keys():
        raise ConfigError(f"{file}: unknown key `{key}`{hint(key, known)}")
    for one in fields(kind):  # type: ignore[arg-type]
        if one.name not in values and one.default is one.default_factory is NOTHING:
            raise ConfigError(f"{file}: `{one.name}` is missing")
    check_shapes(kind, values, lambda _: f" (from {file})")
    return kind(**values)


def only_text(kind: Any) -> bool:
    """Whether every leaf of a type is a string: list[str], dict[str, str], str | None."""
    if isinstance(kind, types.UnionType) or get_origin(kind) in (list, dict, tuple):
        return all(only_text(part) for part in get_args(kind) if part is not types.NoneType)
    return kind is str or chooses_text(kind)


def chooses_text(kind: Any) -> bool:
    return get_origin(kind) is Literal and all(isinstance(choice, str) for choice in get_args(kind))


def _not_text(kind: Any, value: Any) -> Iterator[Any]:
    """The leaves that are no text; null only where it stands in a list or a mapping, as elsewhere it may be meant."""
    parts = [part for part in (kind, *get_args(kind)) if get_origin(part) in (list, dict, tuple)]
    if parts and isinstance(value, list | tuple):
        yield from (odd for one in value for odd in _leaf(parts[0], one))
    elif parts and isinstance(value, dict):
        yield from (odd for one in value.values() for odd in _leaf(parts[0], one))
    elif not isinstance(value, str | types.NoneType):
        yield value


def _leaf(kind: Any, value: Any) -> Iterator[Any]:
    inner = get_args(kind)[-1]
    if value is None and not (isinstance(inner, types.UnionType) and types.NoneType in get_args(inner)):
        yield value
    else:
        yield from _not_text(inner, value)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and is_dataclass(kind)


def _is_open(value: Any) -> bool:
    """Whether it is an interpolation or a value still to be given, which has no shape yet."""
    return isinstance(value, str) and (value == MISSING or value.startswith("${"))


def _remedy(kind: Any, key: str, value: Any) -> str:
    if value is None and isinstance(kind, types.UnionType):
        return ""
    shape = next((o for k in (kind, *get_args(kind)) if (o := get_origin(k)) in (list, tuple, dict)), None)
    if _is_section(kind):
        return f"`{key}` is a mapping: write {key}.KEY=VALUE (KEY: {', '.join(get_type_hints(kind))})"
    if shape in (list, tuple) and not isinstance(value, list | tuple):
        return f"`{key}` is a list: write {key}=[{'' if value is None else value}]"
    if shape is dict and not isinstance(value, dict):
        return f"`{key}` is a mapping: write {key}={{{'' if value is None else 'KEY: VALUE'}}}"
    return ""


def check_stream(name: str, settings: Any) -> None:
    """Raises ConfigError: the settings of a stream are no mapping, such as `features.fine=log_mel`."""
    if isinstance(settings, dict):
        return
    key = f"features.{name}"
    if settings is None:
        raise ConfigError(
            f"`{key}=null`: a stream cannot be removed, and need not be: training computes only what the model reads"
        )
    known = table("extractor")
    extractor = settings if settings in known else "EXTRACTOR"
    choices = "" if settings in known else f" (EXTRACTOR: {', '.join(known)})"
    raise ConfigError(
        f"`{key}` is a mapping: write {key}.extractor={extractor} or {key}={{extractor: {extractor}}}{choices}"
    )


def check_loss(settings: Any) -> None:
    """Raises ConfigError: the settings of the loss are no mapping, such as `training.loss=focal`."""
    if not isinstance(settings, dict):
        known = table("loss")
        name = settings if settings in known else "NAME"
        choices = "" if settings in known else f" (NAME: {', '.join(known)})"
        raise ConfigError(
            f"`training.loss` is a mapping: write training.loss.name={name} or training.loss={{name: {name}}}{choices}"
        )
