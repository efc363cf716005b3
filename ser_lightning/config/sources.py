"""The YAML files under conf/: where they are searched, what choices there are, how one is read."""

import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from ser_lightning.config.components import hint
from ser_lightning.config.plugins import entry_points, package_of
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
        ConfigError: an unknown choice, a file that is no mapping, or a circle.
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
    for item in values.pop("defaults", []):
        if isinstance(item, dict):
            picks |= {str(key): str(value) for key, value in item.items()}
        else:
            inherited, its_picks = _layers(group, str(item), folders, (*above, choice))
            found, picks = found + inherited, its_picks | picks
    return [*found, Layer(f"conf/{group}/{choice}.yaml", values)], picks


def read(path: Path) -> dict[str, Any]:
    """A YAML file as plain containers, interpolations left as they stand.

    Raises:
        ConfigError: the file is no YAML mapping, or names a key twice.
    """
    try:
        values = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    except (OSError, UnicodeDecodeError, YAMLError, OmegaConfBaseException) as error:
        raise ConfigError(f"{path}: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected `key: value` lines")
    return {str(key): value for key, value in values.items()}
