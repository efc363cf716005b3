"""Reading a sweep file: found, completed with the command line's words, checked and frozen."""

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ser_lightning.config.components import hint
from ser_lightning.config.compose import SECTIONS, compose
from ser_lightning.config.sources import read
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.check import check
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import study_settings

KEYS = ("study", "base", "space", "constraints", "start")

HERE = Path(__file__).resolve().parent
PACKAGED = (HERE, HERE.parents[1] / "sweeps")
"""Where sweeps lie once installed, and in a checkout."""


def read_sweep(name: str, words: Sequence[str] = (), conf: str | None = None) -> Frozen:
    """A sweep file by its path, else a packaged one by its name, with the command line's overrides.

    `study.trials`, `study.name` and `study.storage` override the file; all other words are of the base.

    Raises:
        ConfigError: there is no such file, or anything in it or in the words is wrong.
    """
    path = find(name)
    tree = read(path)
    for key in tree.keys() - set(KEYS):
        raise ConfigError(f"{path}: unknown section `{key}`{hint(key, KEYS)}")
    own = [word for word in words if word.startswith("study.")]
    given = [word for word in words if word not in own]
    base = [*_strings(tree.get("base", []), path), *given]
    written = {"name": path.stem} | _mapping(tree, "study", path)
    space = _mapping(tree, "space", path)
    if not space:
        raise ConfigError(f"{path}: `space` is empty: give the keys to search")
    frozen = Frozen(
        study_settings(written, own, str(path)),
        _absolute(asdict(compose(base, conf).config)),
        _choices(space, base, conf, path),
        space,
        _mapping(tree, "constraints", path),
        tree.get("start") or [],
        base,
    )
    check(frozen, given, str(path))
    return frozen


def find(name: str) -> Path:
    """The file that `name` says: itself, with `.yaml`, under sweeps/ where one stands, or a packaged sweep.

    Raises:
        ConfigError: there is none.
    """
    file = name if name.endswith((".yaml", ".yml")) else f"{name}.yaml"
    for path in (Path(file), Path("sweeps", file)):
        if path.is_file():
            return path
    known = packaged()
    given = Path(file)
    if given.stem in known and str(given.parent) in (".", "sweeps"):
        return known[given.stem]
    close = difflib.get_close_matches(given.stem, known, n=1)
    meant = f"; did you mean `{close[0]}`?" if close else ""
    raise ConfigError(f"no sweep file {name}{meant}; packaged: {', '.join(known)}")


def packaged() -> dict[str, Path]:
    """Sweeps that come with the package, by name."""
    found = next((files for folder in PACKAGED if (files := sorted(folder.glob("*.yaml")))), [])
    return {file.stem: file for file in found}


def _strings(written: Any, path: Path) -> list[str]:
    if not isinstance(written, list) or not all(isinstance(word, str) for word in written):
        raise ConfigError(
            f"{path}: base is a list of words as for `ser train`: [experiment=..., training.max_epochs=9]"
        )
    return written


def _mapping(tree: Mapping[str, Any], key: str, path: Path) -> dict[str, Any]:
    found = tree.get(key) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: `{key}` is a mapping")
    return {str(name): value for name, value in found.items()}


def _choices(space: Mapping[str, Any], base: Sequence[str], conf: str | None, path: Path) -> dict[str, dict[str, Any]]:
    """The sections of every choice of the groups that are searched, resolved like the base's own."""
    found: dict[str, dict[str, Any]] = {}
    for group in (key for key in SECTIONS if key in space):
        written = space[group]
        names = written.get("choices") if isinstance(written, dict) else written
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ConfigError(f"{path}: space.{group}: a group takes a list of its choices")
        found[group] = {name: _section(group, name, base, conf, path) for name in names}
    return found


def _section(group: str, name: str, base: Sequence[str], conf: str | None, path: Path) -> Any:
    try:
        return asdict(compose([*base, f"{group}={name}"], conf).config)[group]
    except ConfigError as error:
        raise ConfigError(f"{path}: space.{group}: {group}={name}: {error}") from error


def _absolute(tree: dict[str, Any]) -> dict[str, Any]:
    """The configuration with paths that mean the same wherever a worker stands."""
    for key in ("runs_dir", "cache_dir"):
        tree[key] = os.path.abspath(tree[key])  # noqa: PTH100  not resolve(): the path that was given, links and all
    if tree["scratch_dir"] and not tree["scratch_dir"].startswith("$"):  # whose meaning is the node's
        tree["scratch_dir"] = os.path.abspath(tree["scratch_dir"])  # noqa: PTH100
    if tree["corpus"].get("root"):
        tree["corpus"]["root"] = os.path.abspath(tree["corpus"]["root"])  # noqa: PTH100
    if tree["split"]["name"] == "file":
        tree["split"]["file"] = os.path.abspath(tree["split"]["file"])  # noqa: PTH100
    return tree
