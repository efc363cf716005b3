"""What a study consists of, written once: nothing that is edited later under conf/ or sweeps/ changes a trial."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ser_lightning.config.compose import bind
from ser_lightning.config.identity import RESULT_VERSION, without_way
from ser_lightning.config.schema import Config
from ser_lightning.config.sources import read
from ser_lightning.config.tree import leaves
from ser_lightning.config.yaml_text import dump
from ser_lightning.errors import ConfigError
from ser_lightning.files import write_text
from ser_lightning.sweeps.parameters import Choice, Range, Searched
from ser_lightning.sweeps.passwords import without_password
from ser_lightning.sweeps.settings import StudySettings, study_settings
from ser_lightning.sweeps.space import Space

MAPPING = (dict, "mapping")
"""What most parts of a frozen study are, and what it is called."""


@dataclass(frozen=True)
class Frozen:
    """A study's settings, the configuration its trials start from, and its search space."""

    study: StudySettings
    base: dict[str, Any]
    """The resolved configuration, with absolute paths."""
    choices: dict[str, dict[str, Any]]
    """Resolved sections of the choices of every group that is searched, by group and choice."""
    space: dict[str, Any]
    """Parameters by dotted key, as they were written."""
    constraints: dict[str, float]
    """The most that a value of a run's result may be, by dotted key."""
    start: list[dict[str, Any]]
    """Points that are tried first."""
    words: list[str]
    """What the base was composed from."""
    version: int = RESULT_VERSION
    """The result version of its trials; files of the first do not name it."""

    @cached_property
    def searched(self) -> Space:
        """The search space, ready to suggest."""
        return Space(self.space, self.base, self.choices)

    def config(self, values: Mapping[str, Any], number: int) -> Config:
        """The configuration of trial `number` with these values by dotted key.

        Raises:
            ConfigError: the values do not go together.
        """
        name = self.study.name
        tree = self.searched.apply(values)
        own = {"group": name, "job_type": "trial", "name": f"{name} trial {number}"}
        tree["tracking"] = tree.get("tracking", {}) | own
        return bind(tree, f"study {name}, trial {number}")

    def write(self, path: Path) -> None:
        write_text(path, dump(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> "Frozen":
        """A study that was written.

        Raises:
            ConfigError: there is none, or its file is no study.
        """
        tree = read(path)
        tree.setdefault("version", 1)
        if missing := [one.name for one in fields(cls) if one.name not in tree]:
            raise ConfigError(f"{path}: no frozen study: `{missing[0]}` is missing")
        _check_shapes(tree, path)
        return cls(**{one.name: tree[one.name] for one in fields(cls)} | {"study": _settings(tree["study"], path)})

    def check_version(self, folder: Path) -> None:
        """Raise ConfigError where this program's numbers are others than those of the trials that the study has."""
        if self.version != RESULT_VERSION:
            raise ConfigError(
                f"{folder}: the study was begun under result version {self.version}, and this program is of "
                f"{RESULT_VERSION}, whose numbers differ; go on with the version it began with, or choose another "
                "study.name"
            )

    def changes(self, other: "Frozen") -> dict[str, tuple[Any, Any]]:
        """This study's value and the other's of each key that differs; the number of trials may grow."""
        mine, theirs = _compared(self), _compared(other)
        keys = [*mine, *(key for key in theirs if key not in mine)]
        return {
            key: (mine.get(key, "not set"), theirs.get(key, "not set"))
            for key in keys
            if key not in mine or key not in theirs or mine[key] != theirs[key]
        }

    def differences(self, other: "Frozen") -> list[str]:
        """`changes` for people."""
        return [f"{key} ({mine} / {theirs})" for key, (mine, theirs) in self.changes(other).items()]


def _check_shapes(tree: Mapping[str, Any], path: Path) -> None:
    kinds: dict[str, tuple[type, str]] = {
        "start": (list, "list"),
        "words": (list, "list"),
        "version": (int, "whole number"),
    }
    wrong = [one.name for one in fields(Frozen) if not isinstance(tree[one.name], kinds.get(one.name, MAPPING)[0])]
    parts = {"base.tracking": tree["base"].get("tracking", {})} if "base" not in wrong else {}
    parts |= {f"choices.{group}": found for group, found in tree["choices"].items()} if "choices" not in wrong else {}
    parts |= {f"start[{i}]": point for i, point in enumerate(tree["start"])} if "start" not in wrong else {}
    wrong += [name for name, part in parts.items() if not isinstance(part, dict)]
    if wrong:
        kind = kinds.get(wrong[0], MAPPING)[1]
        raise ConfigError(
            f"{path}: no frozen study: `{wrong[0]}` is no {kind}; bring the file back as `ser sweep` wrote it"
        )


def _settings(tree: dict[str, Any], path: Path) -> StudySettings:
    return study_settings(tree, (), str(path))


def _compared(frozen: Frozen) -> dict[str, Any]:
    """By dotted key; without what changes no score, of which a later version may know more keys."""
    study = asdict(frozen.study)
    del study["trials"]
    if frozen.study.storage is not None:  # a new password is no other place, and none is to be shown
        study["storage"] = without_password(frozen.study.storage)
    base = {key: value for key, value in frozen.base.items() if key != "tracking"}
    base["model"] = without_way(base.get("model", {}))
    models = {name: without_way(model) for name, model in frozen.choices.get("model", {}).items()}
    parts = {"study": study, "base": base, "choices": {**frozen.choices, "model": models}}
    whole = {f"space.{key}": value for key, value in frozen.space.items()}
    limits = {f"constraints.{key}": value for key, value in frozen.constraints.items()}
    return dict(leaves(parts)) | whole | limits | {"start": frozen.start}


PARTS = "its trials were scored on other validation parts"
FIXED = {
    "study.name": "a study keeps its name",
    "study.storage": "its trials are not there; where the database itself has moved, correct study.yaml",
    "study.objectives": "its trials were scored by others",
    "study.crossval": "its trials were scored on other folds",
    "constraints": "its trials were held to others",
    "base.corpus": PARTS,
    "base.split": PARTS,
}
"""Keys, or what is above them, that no study changes, and why."""

MOVES = ("base.corpus.root",)
"""Exceptions: a place, not what is there."""


def refused(known: Frozen, now: Frozen) -> Iterator[str]:
    """What differs so that not even `changed=true` can go on: each key, with the reason."""
    for key in known.changes(now):
        if key not in MOVES:
            yield from (f"{key} ({why})" for above, why in FIXED.items() if f"{key}.".startswith(f"{above}."))
    for key, one in known.searched.searched.items():
        other = now.searched.searched.get(key)
        if other and not _compatible(one, other):
            yield f"space.{key} (Optuna keeps a parameter's choices, kind of numbers and scale for a whole study)"


def _compatible(one: Searched, other: Searched) -> bool:
    """Whether Optuna takes both under one name: it raises ValueError in the middle of the first trial otherwise."""
    if isinstance(one, Choice) or isinstance(other, Choice):
        return isinstance(one, Choice) and isinstance(other, Choice) and one.labels == other.labels
    return _kind(one) == _kind(other)


def _kind(p: Range) -> tuple[type, bool]:
    return type(p.distribution), p.distribution.log
