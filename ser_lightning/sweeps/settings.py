"""How a study is run: the section `study` of a sweep file."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any, Literal, get_args, get_type_hints

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ser_lightning.config.components import hint
from ser_lightning.config.overrides import parse, value
from ser_lightning.config.places import expanded
from ser_lightning.config.shapes import check_text
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.measure import check_unseen

ON_COMMAND_LINE = ("trials", "name", "storage")
"""Settings that `study.KEY=...` overrides; the others would make it another study."""

Direction = Literal["maximize", "minimize"]

WHOLE = ("objectives", "sampler", "pruner")
"""Settings that replace their defaults: the default sampler's parameters are none of another sampler's."""

_SUCH = {
    "objectives": "{validation.uar: maximize}",
    "sampler": "{name: tpe}",
    "pruner": "{name: median}",
    "crossval": "{folds: null}",
}


@dataclass(frozen=True)
class InnerFolds:
    """A trial is the cross-validation of the base's split, of which it sees the train and validation parts."""

    folds: int | None = None
    """The first so many folds; null: all."""


@dataclass(frozen=True)
class StudySettings:
    """What is decided once for a study, however many workers it has."""

    name: str
    """Name of the study and of its folder."""
    trials: int = 20
    """Trials in all, over all workers and starts."""
    storage: str | None = None
    """null: journal.log in the study's folder; or the URL of a database, or grpc://host:port.

    Workers read it from study.yaml. A password in it closes the study's folder to other users; ~/.pgpass or PGPASSWORD
    on every node (MySQL: `?read_default_file=`) keep it out of files and lists of processes altogether."""
    objectives: dict[str, Direction] = field(default_factory=lambda: {"validation.uar": "maximize"})
    """Dotted keys of a run's result, each with maximize or minimize; several have a Pareto front."""
    sampler: dict[str, Any] = field(default_factory=lambda: {"name": "tpe", "seed": 0})
    """`name` (tpe, random, qmc, gp, ...) and that sampler's own parameters."""
    pruner: dict[str, Any] = field(
        default_factory=lambda: {"name": "median", "n_startup_trials": 4, "n_warmup_steps": 3}
    )
    """`name` (median, percentile, hyperband, successive_halving, wilcoxon, none) and that pruner's own parameters."""
    failures: int = 5
    """So many trials in a row that fail for one reason end the sweep."""
    adoptions: int = 3
    """Times that a dead worker's trial is taken over before it counts as failed."""
    stale: float = 60.0
    """Seconds without a heartbeat after which a worker counts as dead."""
    memory: int | None = None
    """MiB that a trial may hold (resident, all its processes); null: no limit."""
    crossval: InnerFolds | None = None
    """Score a trial by a cross-validation instead of one run."""


def study_settings(written: Mapping[str, Any], words: Sequence[str], place: str) -> StudySettings:
    """Settings from a sweep file's `study` and the command line's `study.KEY=VALUE`; `place` names the file.

    Raises:
        ConfigError: an unknown key, a wrong type, a value out of its range, an objective that looks at test data.
    """
    tree = dict(written) | _overridden(words)
    for key in (*WHOLE, "crossval"):
        if not isinstance(tree.get(key, {}), (dict, NoneType) if key == "crossval" else dict):
            raise ConfigError(f"{place}: study.{key} is a mapping, such as {key}: {_SUCH[key]}")
    hints = get_type_hints(StudySettings)
    for key, given in tree.items():
        check_text(hints.get(key), f"study.{key}", given, f" (from {place})")
    try:
        rest = {key: value for key, value in tree.items() if key not in WHOLE}
        merged: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.structured(StudySettings), rest))
    except OmegaConfBaseException as error:
        key = getattr(error, "full_key", None) or "study"
        known = [one.name for one in fields(StudySettings)]
        text = f"unknown setting{hint(key, known)}" if key in tree and key not in known else _first_line(error)
        raise ConfigError(f"{place}: study.{key}: {text}") from error
    merged |= {key: tree[key] for key in WHOLE if key in tree}
    merged["storage"] = _file_expanded(merged["storage"])
    folds = merged["crossval"]
    found = StudySettings(**merged | {"crossval": None if folds is None else InnerFolds(**folds)})
    _check(found, place)
    return found


def _overridden(words: Sequence[str]) -> dict[str, Any]:
    hints = get_type_hints(StudySettings)
    found = {}
    for one in parse(words):
        key = one.key.removeprefix("study.")
        if key not in ON_COMMAND_LINE:
            known = ", ".join(f"study.{name}" for name in ON_COMMAND_LINE)
            raise ConfigError(f"`{one.key}` is set in the sweep file; on the command line there are {known}")
        found[key] = value(one.text, hints[key])
    return found


def _file_expanded(url: str | None) -> str | None:
    """SQLite's URL names a file, as other settings do; other URLs may hold a `$` or `~` of their own."""
    scheme, slashes, path = (url or "").partition(":///")
    return f"{scheme}{slashes}{expanded('study.storage', path)}" if scheme.startswith("sqlite") else url


def _check(found: StudySettings, place: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", found.name):
        raise ConfigError(
            f"{place}: study.name={found.name!r}: names a folder; letters, digits, `.`, `_` and `-`, the first of them "
            "a letter or a digit"
        )
    folds = found.crossval.folds if found.crossval else None
    least = [("trials", found.trials, 1), ("failures", found.failures, 1), ("adoptions", found.adoptions, 0)]
    for key, count, bound in [*least, ("memory", found.memory, 1), ("crossval.folds", folds, 2)]:
        if count is not None and count < bound:
            raise ConfigError(f"{place}: study.{key}={count}: must be at least {bound}")
    if not 0 < found.stale < float("inf"):
        raise ConfigError(f"{place}: study.stale={found.stale}: must be above 0 and finite")
    _check_objectives(found, place)


def _check_objectives(found: StudySettings, place: str) -> None:
    if not found.objectives:
        raise ConfigError(f"{place}: study.objectives: give at least one, such as validation.uar: maximize")
    for key, direction in found.objectives.items():
        check_unseen(key, f"{place}: study.objectives")
        if direction not in get_args(Direction):
            raise ConfigError(f"{place}: study.objectives.{key}={direction}: must be maximize or minimize")
    for key in ("sampler", "pruner"):
        if not isinstance(getattr(found, key).get("name"), str):
            raise ConfigError(f"{place}: study.{key}: give its `name`, such as {key}: {_SUCH[key]}")
    if len(found.objectives) > 1 and found.pruner["name"] != "none":
        raise ConfigError(
            f"{place}: study.pruner: trials of several objectives cannot be pruned; write pruner: {{name: none}}"
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
