"""Checking a configuration against its schema, which the components it names complete."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Any, get_type_hints

from omegaconf import OmegaConf, SCMode
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ser_lightning.config.components import TABLES, hint, target
from ser_lightning.config.schema import NAMED, STREAM, Config, Tracking, Training
from ser_lightning.config.signature import schema
from ser_lightning.errors import ConfigError


def config_type(tree: Mapping[str, Any]) -> type:
    """The dataclass of this configuration: `Config` with each component's own parameters in place."""
    parts = [
        (section, _component(section, tree.get(section, {}), "name", NAMED)) for section in ("corpus", "split", "model")
    ]
    streams = [
        (name, _component("extractor", stream, "extractor", STREAM))
        for name, stream in tree.get("features", {}).items()
    ]
    rows = [*parts, ("features", make_dataclass("Features", _factories(streams)))]
    return make_dataclass("Configuration", _factories(rows), bases=(_Fixed,))


def _factories(rows: Sequence[tuple[str, type]]) -> list[tuple[str, type, Any]]:
    return [(name, kind, field(default_factory=kind)) for name, kind in rows]


_Fixed = make_dataclass(
    "_Fixed",
    [
        (
            f.name,
            get_type_hints(Config)[f.name],
            field(default_factory={"training": Training, "tracking": Tracking}[f.name])
            if f.name in ("training", "tracking")
            else field(default=f.default),
        )
        for f in fields(Config)
        if f.name not in ("corpus", "features", "split", "model")
    ],
)


def _component(kind: str, settings: Any, selector: str, common: Any) -> type:
    if not isinstance(settings, dict) or selector not in settings:
        raise ConfigError(f"{kind}: give `{selector}`, one of {', '.join(TABLES[kind])}")
    return schema(target(kind, settings[selector]), common)


def type_at(kind: Any, key: str) -> Any:
    """The schema's type of a dotted key; Any where the schema goes no deeper.

    Raises:
        ConfigError: the schema has no such key.
    """
    seen = ""
    for part in key.split("."):
        if not (isinstance(kind, type) and is_dataclass(kind)):
            return Any
        known = get_type_hints(kind)
        if part not in known:
            raise ConfigError(f"unknown key `{key}`{_where(seen)}{hint(part, known)}")
        kind, seen = known[part], f"{seen}.{part}".lstrip(".")
    return kind


def _where(section: str) -> str:
    return f" (`{section}` has no such key)" if section else ""


def checked(kind: type, tree: Mapping[str, Any], origin: Mapping[str, str]) -> Config:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            merged = OmegaConf.merge(OmegaConf.structured(kind), tree)
            missing = sorted(OmegaConf.missing_keys(merged))
            plain: Any = OmegaConf.to_container(merged, resolve=True, structured_config_mode=SCMode.DICT)
    except (OmegaConfBaseException, Warning) as error:
        raise ConfigError(_message(error, kind, origin)) from error
    if missing:
        raise ConfigError(f"missing value: give {' '.join(f'{key}=...' for key in missing)}")
    return Config(**plain | {name: OmegaConf.to_object(merged[name]) for name in ("training", "tracking")})  # type: ignore[index]


def _message(error: Exception, kind: type, origin: Mapping[str, str]) -> str:
    key = getattr(error, "full_key", None) or ""
    source = next((file for name, file in origin.items() if name == key or name.startswith(f"{key}.")), None)
    place = f" (from {source})" if source and source != "command line" else ""
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        try:
            type_at(kind, key)
        except ConfigError as unknown:
            return f"{unknown}{place}"
    text = str(error).partition("\n")[0]
    return f"`{key}`: {text}{place}" if key else text
