"""From the command line's words to one checked configuration, and where each of its values comes from."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from ser_lightning.config import overrides, sources
from ser_lightning.config.binding import checked, config_type
from ser_lightning.config.components import hint
from ser_lightning.config.overrides import Override
from ser_lightning.config.schema import Config
from ser_lightning.config.shapes import check_text, type_at
from ser_lightning.config.sources import GROUPS, Layer
from ser_lightning.config.yaml_text import literal
from ser_lightning.errors import ConfigError

SECTIONS = tuple(group for group in GROUPS if group not in ("experiment", "debug"))
"""Groups whose file's keys go under the group's own name."""

SELECTOR = re.compile(r"(corpus|split|model|training\.loss)\.name|features\.[^.]+\.extractor")
"""Keys that say which component a section configures; the schema is known only after them."""


@dataclass(frozen=True)
class Composed:
    """A checked configuration, and for each dotted key the file or word that set it last."""

    config: Config
    origin: Mapping[str, str]


def compose(words: Sequence[str] = (), conf: str | None = None, complete: bool = True) -> Composed:
    """Compose conf/ with overrides such as `experiment=emodb_fused model=ds_lstm model.hidden_dim=256`.

    Missing values stay `???` if it need not be `complete`.

    Raises:
        ConfigError: unknown key or choice, wrong type or range, missing value, Hydra-only syntax.
    """
    folders = sources.search_path(conf)
    given = overrides.parse(words)
    picks = {o.key: _choice(o, folders) for o in given if o.key in GROUPS}
    tree, origin = _stack(_layers(picks, folders))
    if "corpus.name" not in origin:
        corpora, experiments = (", ".join(sources.choices(group, folders)) for group in ("corpus", "experiment"))
        raise ConfigError(f"no corpus: choose corpus=... ({corpora}) or experiment=... ({experiments})")
    if "experiment" in picks:
        tree["experiment"], origin["experiment"] = picks["experiment"], "command line"
    values = [o for o in given if o.key not in GROUPS]
    _check_whole(tree, values, folders)
    return _bind(tree, origin, values, complete)


def _check_whole(tree: Mapping[str, Any], values: Sequence[Override], folders: Sequence[Path]) -> None:
    """Raises ConfigError: a config.yaml of somebody's own leaves a group without a choice."""
    set_by_words = {override.key.partition(".")[0] for override in values}
    for group in ("features", "split", "model"):
        if tree.get(group) is None and group not in set_by_words:
            known = ", ".join(sources.choices(group, folders))
            raise ConfigError(
                f"{_first('config.yaml', folders)}: its `defaults` choose no {group}: add a line `- {group}: ...` "
                f"({known}), or choose another folder with --conf DIR"
            )


def bind(tree: dict[str, Any], source: str, words: Sequence[str] = (), resolved: bool = True) -> Config:
    """Check a configuration, such as the `config.yaml` of a run folder, with overrides.

    Where it was `resolved` before, `${...}` in its values stands for itself.
    """
    if wrong := [group for group in SECTIONS if group in tree and not isinstance(tree[group], dict)]:
        raise ConfigError(f"{source}: ".removeprefix(": ") + f"`{wrong[0]}` is no mapping of keys to values")
    values = literal(tree) if resolved else tree
    return _bind(*_stack([Layer(source, values)]), overrides.parse(words)).config


def _choice(pick: Override, folders: Sequence[Path]) -> str:
    known = sources.choices(pick.key, folders)
    if pick.text not in known and pick.key in SECTIONS:
        overrides.refuse_value(pick, known)
    return pick.text


def _layers(picks: Mapping[str, str], folders: Sequence[Path]) -> list[Layer]:
    """All files in the order in which they win: groups, then the experiment, then the debug profile."""
    root, chosen = _root(_first("config.yaml", folders))
    over: list[Layer] = []
    for group in ("experiment", "debug"):
        if group in picks:
            found, its_picks = sources.layers(group, picks[group], folders)
            _check_groups(its_picks, f"{found[-1].source}: defaults")
            chosen, over = chosen | its_picks, over + found
    # Another choice on the command line replaces the experiment's together with the values it gave to that group.
    replaced = {group for group, choice in picks.items() if group in SECTIONS and chosen.get(group) != choice}
    over = [Layer(one.source, {k: v for k, v in one.values.items() if k not in replaced}) for one in over]
    chosen |= {group: choice for group, choice in picks.items() if group in SECTIONS}
    below = [
        Layer(one.source, {group: one.values})
        for group, choice in chosen.items()
        for one in sources.layers(group, choice, folders)[0]
    ]
    whole = [Layer("conf/config.yaml", root), *over]
    for layer, group in itertools.product(whole, SECTIONS):
        if not isinstance(layer.values.get(group, {}), dict):
            raise ConfigError(
                f"{layer.source}: `{group}` is a mapping of keys to values; a choice is a line `- {group}: ...` of "
                "`defaults`"
            )
    return [whole[0], *below, *over]


def _root(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """The values of a config.yaml, and the choices of its `defaults`.

    Raises:
        ConfigError: it is of the wrong shape, perhaps because it is another program's.
    """
    try:
        values, chosen = sources.read(path), dict[str, str]()
        for item in sources.defaults(values, path):
            if isinstance(item, str):
                raise ConfigError(f"{path}: defaults: `{item}` stands alone; write `group: choice`")
            chosen |= item
        _check_groups(chosen, f"{path}: defaults")
        known = get_type_hints(Config)
        if strange := [key for key in values if key not in known]:
            raise ConfigError(f"{path}: unknown key `{strange[0]}`{hint(strange[0], known)}")
    except ConfigError as error:
        raise ConfigError(
            f"{error} (if {path.parent}/ is another program's, choose a folder with --conf DIR)"
        ) from error
    return values, chosen


def _check_groups(chosen: Mapping[str, str], place: str) -> None:
    if unknown := [group for group in chosen if group not in SECTIONS]:
        raise ConfigError(f"{place}: unknown group `{unknown[0]}`{hint(unknown[0], SECTIONS)}")


def _first(name: str, folders: Sequence[Path]) -> Path:
    return next(folder / name for folder in folders if (folder / name).is_file())


def _stack(layers: Sequence[Layer]) -> tuple[dict[str, Any], dict[str, str]]:
    tree: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for layer in layers:
        _put(tree, origin, layer.values, "", layer.source)
    return tree, origin


def _put(tree: dict[str, Any], origin: dict[str, str], values: Mapping[str, Any], prefix: str, source: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(tree.get(key), dict):
            _put(tree[key], origin, value, f"{prefix}{key}.", source)
        elif isinstance(value, dict):
            tree[key] = {}
            _put(tree[key], origin, value, f"{prefix}{key}.", source)
        else:
            if SELECTOR.fullmatch(f"{prefix}{key}"):
                check_text(str, f"{prefix}{key}", value, f" (from {source})")
            tree[key], origin[f"{prefix}{key}"] = value, source


def _bind(tree: dict[str, Any], origin: dict[str, str], values: Sequence[Override], complete: bool = True) -> Composed:
    for override in values:
        _put_early(tree, origin, override)
    kind = config_type(tree)
    for override in values:
        parsed = overrides.value(override.text, type_at(kind, override.key))
        _put(tree, origin, _nested(override.key, parsed), "", "command line")
    return Composed(checked(kind, tree, origin, complete), origin)


def _put_early(tree: dict[str, Any], origin: dict[str, str], override: Override) -> None:
    """What decides the schema itself: which component a section names, and streams given whole."""
    section, _, rest = override.key.partition(".")
    whole = section == "features" and rest != "" and "." not in rest
    whole |= override.key == "training.loss"
    if whole or rest in ("name", "loss.name") or (section == "features" and rest.endswith(".extractor")):
        parsed = overrides.value(override.text, Any if whole else str)
        _put(tree, origin, _nested(override.key, parsed), "", "command line")


def _nested(key: str, value: Any) -> dict[str, Any]:
    """`a.b` and a value as {"a": {"b": value}}."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value  # type: ignore[no-any-return]
