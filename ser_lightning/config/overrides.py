"""The command line's `key=value` words, parsed with the schema's type in hand."""

import re
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import yaml
from omegaconf import OmegaConf

from ser_lightning.errors import ConfigError

HYDRA = (
    (
        r"^\+\+?[\w.]+",
        "keys of the schema need no `+`: write {rest}; a key outside the schema cannot be added",
    ),
    (r"^~[\w.]+", "nothing is deleted with `~`: clear a value with `{rest}=null`"),
    (
        r"^(-m|--multirun)$",
        "there is no multirun: `ser sweep` searches over values, `ser crossval` runs folds",
    ),
    (
        r"^(-cn|--config-name|-cd|--config-dir|-cp|--config-path)\b",
        "choose with `experiment=NAME` and `--conf DIR`",
    ),
    (r"^hydra[./]", "there is no `hydra` section: folders are set by `runs_dir` and `cache_dir`"),
    (r"^[\w./]+@", "groups have fixed places: write `group=choice` without `@`"),
)


@dataclass(frozen=True)
class Override:
    """One `key=text` of the command line."""

    key: str
    text: str


def parse(words: Sequence[str]) -> list[Override]:
    """Split each word at its first `=`.

    Raises:
        ConfigError: a word is no `key=value`, or is syntax that only Hydra knows.
    """
    return [_parse(word) for word in words]


def _parse(word: str) -> Override:
    for pattern, advice in HYDRA:
        if re.match(pattern, word):
            raise ConfigError(f"`{word}` is Hydra's syntax: {advice.format(rest=word.lstrip('+~'))}")
    key, equals, text = word.partition("=")
    if not equals or not key:
        raise ConfigError(f"`{word}` is not an override: write key=value, for example training.max_epochs=5")
    return Override(key, text)


def refuse_value(pick: Override, known: Iterable[str]) -> None:
    """Tell someone who gives a group a value, as in `training={max_epochs: 3}`, how values are given.

    Raises:
        ConfigError: the text looks like a value: it does not begin with a letter, or is null, true or false.
    """
    if re.match("[A-Za-z]", pick.text) and pick.text not in ("null", "true", "false"):
        return
    values = value(pick.text, list[str])
    leaves = values.items() if isinstance(values, dict) else ()
    words = " ".join(f"{pick.key}.{key}={leaf if isinstance(leaf, str) else '...'}" for key, leaf in leaves)
    raise ConfigError(
        f"`{pick.key}={pick.text}`: {pick.key} takes a choice ({', '.join(known)}); "
        f"values are given by their keys: write {words or f'{pick.key}.KEY=VALUE, such as training.max_epochs=3'}"
    )


def value(text: str, kind: Any) -> Any:
    """`text` as a value of type `kind`: text for strings as it stands, YAML for everything else.

    `speaker=007` stays "007", and `[03,08]` stays ["03", "08"] where the schema says list[str].

    Raises:
        ConfigError: the text is no YAML.
    """
    if text == "null":
        return None
    if kind in (str, str | None) or _choices(kind):
        return text
    try:
        if _only_text(kind):
            return yaml.load(text, Loader=yaml.BaseLoader)
        return OmegaConf.to_container(OmegaConf.create(f"value: {text}"), resolve=False)["value"]  # type: ignore[index,call-overload]
    except yaml.YAMLError as error:
        raise ConfigError(f"`{text}` cannot be read: {' '.join(str(error).split())}") from error


def _choices(kind: Any) -> bool:
    return get_origin(kind) is Literal and all(isinstance(choice, str) for choice in get_args(kind))


def _only_text(kind: Any) -> bool:
    """Whether every leaf of `kind` is a string: list[str], dict[str, str], str | None."""
    if isinstance(kind, types.UnionType) or get_origin(kind) in (list, dict, tuple):
        return all(_only_text(part) for part in get_args(kind) if part is not type(None))
    return kind is str or _choices(kind)
