"""The YAML files under conf/: where they are searched, what choices there are, how one is read."""

import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.config.components import hint
from ser_lightning.config.plugins import entry_points, package_of
from ser_lightning.config.yaml_text import load, shown
from ser_lightning.console import console
from ser_lightning.errors import ConfigError

GROUPS = ("experiment", "corpus", "features", "split", "model", "training", "tracking", "debug")
"""Groups in the order help shows them."""


@dataclass(frozen=True)
class Layer:
    """Values of one file, and the file's name for people."""

    source: str
    values: dict[str, Any]


def packaged(folder: str) -> Path:
    """`conf` or `sweeps` as installed with the package, or at the root of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / folder
    return inside if inside.is_dir() else package.parent / folder


def search_path(conf: str | None) -> list[Path]:
    """Folders searched in order: the user's own (`--conf DIR`, or `conf/` where they stand), packaged, plug-ins'.

    Raises:
        ConfigError: `--conf` names no folder.
    """
    if conf is not None and not Path(conf).is_dir():
        raise ConfigError(f"--conf {conf}: no such folder")
    own = Path(conf or "conf")
    folders = [own] if own.is_dir() else []
    shipped = packaged("conf")
    if not folders or own.resolve() != shipped.resolve():
        folders.append(shipped)
    return [*folders, *_plugged_in()]  # last: installing a plug-in must not change what a choice of before means


def _plugged_in() -> Iterator[Path]:
    """Folders of the packages that entry points of the group `ser_lightning.conf` name; nothing is imported."""
    for point in entry_points(group="ser_lightning.conf"):
        top, *below = point.value.split(".")
        spec = importlib.util.find_spec(top) if top.isidentifier() else None
        places = [Path(place, *below) for place in (spec.submodule_search_locations or [])] if spec else []
        if found := [place for place in places if place.is_dir()]:
            yield found[0]
        else:
            text = f"conf `{point.name}`: {point.value} {package_of(point)} is no folder; its choices are left out"
            console.print(text, style="yellow", markup=False, soft_wrap=True)


def choices(group: str, folders: Sequence[Path]) -> dict[str, Path]:
    """Choice -> file of a group; of files of the same name, the one in the folder searched first."""
    found: dict[str, Path] = {}
    for folder in folders:
        for path in sorted((folder / group).glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def describe(path: Path) -> str:
    """The first comment of a YAML file: what the choice is."""
    first = path.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    return first.removeprefix("#").strip() if first.startswith("#") else ""


def layers(group: str, choice: str, folders: Sequence[Path]) -> tuple[list[Layer], dict[str, str]]:
    """The files that make up `group=choice`, ancestors first, and the choices it makes of other groups.

    `defaults` lists files of the same group to inherit from, and in an experiment `group: choice` pairs.

    Raises:
        ConfigError: an unknown choice, a file that is no mapping, `defaults` that are no such list, or a circle.
    """
    return _layers(group, choice, folders, ())


def _layers(
    group: str, choice: str, folders: Sequence[Path], above: tuple[str, ...]
) -> tuple[list[Layer], dict[str, str]]:
    known = choices(group, folders)
    if choice not in known:
        raise ConfigError(f"unknown {group} `{choice}`{hint(choice, known)}")
    if choice in above:
        raise ConfigError(f"{known[choice]}: inherits from itself ({' > '.join((*above, choice))})")
    values = read(known[choice])
    found: list[Layer] = []
    picks: dict[str, str] = {}
    for item in defaults(values, known[choice]):
        if isinstance(item, str):
            inherited, its_picks = _layers(group, item, folders, (*above, choice))
            found, picks = found + inherited, its_picks | picks
        else:
            picks |= item
    return [*found, Layer(f"conf/{group}/{choice}.yaml", values)], picks


def defaults(values: dict[str, Any], path: Path) -> list[str | dict[str, str]]:
    """Take `defaults` out of a file's values: names of files of its group, and choices by group.

    Raises:
        ConfigError: it is no such list.
    """
    items = values.pop("defaults", None)
    if items is None:
        return []
    if not isinstance(items, list):
        raise ConfigError(f"{path}: `defaults` is a list: write a line `- group: choice` for each")
    for item in items:
        names = [*item, *item.values()] if isinstance(item, dict) else [item]
        if odd := [name for name in names if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name)]:
            raise ConfigError(f"{path}: defaults: {shown(odd[0])} names no file and no group{_hydras(odd[0])}")
        if "_self_" in names:
            raise ConfigError(f"{path}: defaults: `_self_` is Hydra's; here the order is always the same: leave it out")
    return items


def _hydras(name: Any) -> str:
    if isinstance(name, str) and re.search(r"[/@ ]", name):
        return "; `/`, `@`, `override` and `optional` are Hydra's: write `- group: choice`"
    return "; leave the line out" if name is None else "; put it in quotes"


def read(path: Path) -> dict[str, Any]:
    """A YAML file as plain containers, interpolations left as they stand.

    Raises:
        ConfigError: the file is no YAML mapping, or names a key twice.
    """
    values = load(path)
    if values is None:
        return {}
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else f"`{str(values)[:40]}`"
        raise ConfigError(f"{path}: holds {found}; write `key: value` lines")
    return values
