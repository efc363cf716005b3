"""What the figures came from: configurations, environments, commands, and where systems differ in them."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_lightning.config.sources import read
from ser_lightning.files import read_json
from ser_lightning.reports.html.subject import Subject
from ser_lightning.reports.system import System
from ser_lightning.runs.folder import RunFolder

NOTHING = "\u2013"
"""Stands where there is no value: an en dash."""


@dataclass(frozen=True)
class Setting:
    """A dotted key and its value in each system, by letter; `differs` where not all are equal."""

    key: str
    values: Mapping[str, str]

    @property
    def differs(self) -> bool:
        return len(set(self.values.values())) > 1


def configurations(subjects: Sequence[Subject]) -> list[Setting]:
    """Every setting of config.yaml."""
    return _side_by_side({one.key: dict(_leaves(one.config)) for one in subjects})


def environments(subjects: Sequence[Subject]) -> list[Setting]:
    """Every entry of environment.json but the command; where a system's runs differ, all their values."""
    found: dict[str, dict[str, str]] = {}
    for one in subjects:
        values: dict[str, dict[str, None]] = {}
        for tree in _environments(one.system):
            for key, text in _leaves({name: value for name, value in tree.items() if name != "command"}):
                values.setdefault(key, {})[text] = None
        found[one.key] = {key: ", ".join(texts) for key, texts in values.items()}
    return _side_by_side(found)


def manifests(subjects: Sequence[Subject]) -> dict[str, list[str]]:
    """Digest of the corpus's manifest -> letters of the systems that read those files."""
    found: dict[str, list[str]] = {}
    for one in subjects:
        if digest := one.system.result.get("manifest"):
            found.setdefault(str(digest), []).append(one.key)
    return found


def command(system: System) -> list[str]:
    """The lines to type that made the system; none where it was started from Python, which records no words."""
    if system.kind == "fusion":
        return [shlex.join(["ser", "fuse", *system.result["members"], *_fuse_settings(system.path / "config.yaml")])]
    words = _read(system.path / "environment.json").get("command", [])
    if not words or Path(words[0]).name not in ("ser", "__main__.py"):
        return []
    lines = [shlex.join(["ser", *words[1:]])]
    return [*lines, shlex.join(["ser", "evaluate", system.name])] if system.kind == "run" else lines


def _fuse_settings(config: Path) -> list[str]:
    """What was given beside the members, as words."""
    given = read(config) if config.exists() else {}
    return [f"{key}={json.dumps(given[key])}" for key in ("weights", "step") if given.get(key) is not None]


def _environments(system: System) -> list[Mapping[str, Any]]:
    runs: list[RunFolder] = [run for found in system.runs.values() for run in found]
    trees = [_read(run.environment) for run in runs]
    return [tree for tree in trees if tree] or [_read(system.path / "environment.json")]


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _side_by_side(found: Mapping[str, Mapping[str, str]]) -> list[Setting]:
    keys = dict.fromkeys(key for values in found.values() for key in values)
    return [Setting(key, {letter: values.get(key, NOTHING) for letter, values in found.items()}) for key in keys]


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
