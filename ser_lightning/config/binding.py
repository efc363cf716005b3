"""Checking a configuration against its schema, which the components it names complete."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, fields, make_dataclass
from functools import cache
from typing import Any, get_type_hints

from omegaconf import OmegaConf, SCMode
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from ser_lightning.config.checks import check
from ser_lightning.config.components import blamed, load, table, target
from ser_lightning.config.places import expand_merged
from ser_lightning.config.schema import LOSS, NAMED, STREAM, Config, SpecAugment, Tracking, Training, Waveform
from ser_lightning.config.shapes import (
    MISSING,
    check_loss,
    check_shapes,
    check_stream,
    missing_keys,
    type_at,
)
from ser_lightning.config.signature import schema
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.names import clean


def config_type(tree: Mapping[str, Any]) -> type:
    """The dataclass of this configuration: `Config` with each component's own parameters in place."""
    parts = [
        (section, _component(section, tree.get(section, {}), "name", NAMED)) for section in ("corpus", "split", "model")
    ]
    streams = [(name, _stream(name, settings)) for name, settings in _features(tree).items()]
    return _type_of(tuple(parts), tuple(streams), _loss(tree))


@cache
def _type_of(parts: tuple[tuple[str, type], ...], streams: tuple[tuple[str, type], ...], loss: type) -> type:
    features = make_dataclass("Features", _factories(streams))
    training = make_dataclass("Training", _factories([("loss", loss)]), bases=(Training,))
    rows = [*parts, ("features", features), ("training", training)]
    return make_dataclass("Configuration", _factories(rows), bases=(_Fixed,))


@cache
def _defaults(kind: type) -> Any:
    """What a configuration is merged over, which copies it: to make one takes as long as all the rest."""
    return OmegaConf.structured(kind)


def _factories(rows: Sequence[tuple[str, type]]) -> list[tuple[str, type, Any]]:
    return [(name, kind, field(default_factory=kind)) for name, kind in rows]


_Fixed = make_dataclass(
    "_Fixed",
    [
        (
            f.name,
            get_type_hints(Config)[f.name],
            field(default_factory=Tracking) if f.name == "tracking" else field(default=f.default),
        )
        for f in fields(Config)
        if f.name not in ("corpus", "features", "split", "model", "training")
    ],
)


def _loss(tree: Mapping[str, Any]) -> type:
    training = tree.get("training")
    settings = training.get("loss", {}) if isinstance(training, dict) else {}
    check_loss(settings)
    return _component("loss", {"name": Training().loss["name"]} | settings, "name", LOSS)


def _features(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    features = tree.get("features", {})
    if not isinstance(features, dict):
        raise ConfigError("`features` is a mapping: streams by name, each with its `extractor`")
    return features


def _stream(name: str, settings: Any) -> type:
    check_stream(name, settings)
    return _component("extractor", settings, "extractor", STREAM)


def _component(kind: str, settings: Any, selector: str, common: Any) -> type:
    if not isinstance(settings, dict) or selector not in settings:
        raise ConfigError(f"{kind}: give `{selector}`, one of {', '.join(table(kind))}")
    path = target(kind, settings[selector])
    with blamed(kind, settings[selector]):
        return schema(path, common)


def checked(kind: type, tree: Mapping[str, Any], origin: Mapping[str, str], complete: bool = True) -> Config:
    """The typed configuration; unless it must be `complete`, missing values stay `???`.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of its range or a missing one, a folder that names a
            variable which is not set.
    """

    def place(key: str) -> str:
        return _place(key, origin)

    check_shapes(kind, tree, place)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            merged = OmegaConf.merge(_defaults(kind), tree)
            for key in missing_keys(tree):  # merging leaves a default in place of `???`
                OmegaConf.update(merged, key, MISSING, merge=False)
            expand_merged(merged, place)
            missing = sorted(OmegaConf.missing_keys(merged))
            if missing and complete:
                words = " ".join(f"{key}=..." for key in missing)
                raise ConfigError(f"missing value: give {words}{_labels_found(missing, tree['corpus'])}")
            # What refers to a missing value cannot be resolved and is left as it is written.
            plain: Any = OmegaConf.to_container(merged, resolve=not missing, structured_config_mode=SCMode.DICT)
    except (OmegaConfBaseException, Warning) as error:
        raise ConfigError(_message(error, kind, tree, origin)) from error
    check(plain, place)
    return _config(plain)


def _labels_found(missing: Sequence[str], corpus: Mapping[str, Any]) -> str:
    """Where classes are missing and the corpus can tell its labels from names alone: these, and how often each is."""
    wants = [key for key in missing if key.startswith("corpus.")]
    adapter = load(target("corpus", corpus["name"]))
    if wants != ["corpus.classes"] or not hasattr(adapter, "labels_found"):
        return ""
    try:
        found = adapter(root=str(corpus["root"]), classes=[], labels=corpus.get("labels") or {}).labels_found()
    except (UserError, OSError) as error:
        return f"; {error}"
    return f"; {found}"


def _config(plain: dict[str, Any]) -> Config:
    nested = {"spec_augment": SpecAugment, "waveform": Waveform}
    training = plain["training"] | {key: kind(**plain["training"][key]) for key, kind in nested.items()}
    named = {"corpus": _named(plain["corpus"], ("classes", "labels")), "split": _named(plain["split"], plain["split"])}
    return Config(**plain | named | {"training": Training(**training), "tracking": Tracking(**plain["tracking"])})


def _named(section: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A section whose lists and mappings name speakers and classes, in the spelling that scanned names have."""
    return dict(section) | {key: _cleaned(section[key]) for key in keys if isinstance(section.get(key), list | dict)}


def _cleaned(value: Any) -> Any:
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(one) for key, one in value.items()}
    return clean(value) if isinstance(value, str) and value != MISSING else value


def _place(key: str, origin: Mapping[str, str]) -> str:
    below = (file for name, file in origin.items() if name.startswith(f"{key}."))
    source = origin.get(key) or next(below, None)
    return f" (from {source})" if source and source != "command line" else ""


def _message(error: Exception, kind: type, tree: Mapping[str, Any], origin: Mapping[str, str]) -> str:
    key = getattr(error, "full_key", None) or ""
    place = _place(key, origin)
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        section = key.partition(".")[0]
        if place and origin.get(f"{section}.name") == "command line":
            name = tree[section]["name"]
            return (
                f"{section}.name={name}: `{key}`{place} is no parameter of {name}; choose {section}={name} instead, "
                "which brings its own values"
            )
        try:
            type_at(kind, key)
        except ConfigError as unknown:
            return f"{unknown}{place}"
    text = str(error).partition("\n")[0]
    return f"`{key}`: {text}{place}" if key else text
