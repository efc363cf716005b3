"""The command line's `key=value` words, parsed with the schema's type in hand."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from ser_lightning.config.shapes import chooses_text, only_text
from ser_lightning.config.yaml_text import parse as parse_yaml
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
    if kind in (str, str | None) or chooses_text(kind):
        return text
    try:
        if only_text(kind):
            return yaml.load(text, Loader=yaml.BaseLoader)
        return parse_yaml(f"value: {text}")["value"]
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"`{text}` cannot be read: {getattr(error, 'problem', None) or error}") from error
