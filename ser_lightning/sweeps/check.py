"""Checking a study before its first trial: every key, type and range that a trial may meet, and what scores it."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from optuna.distributions import FloatDistribution

from ser_lightning.config.binding import config_type
from ser_lightning.config.compose import bind
from ser_lightning.config.overrides import parse
from ser_lightning.config.schema import Config
from ser_lightning.config.shapes import type_at
from ser_lightning.config.tree import at, has
from ser_lightning.corpora.report import say_warnings
from ser_lightning.crossval.plan import plan
from ser_lightning.crossval.settings import Settings
from ser_lightning.errors import ConfigError
from ser_lightning.runs.prepare import prepare
from ser_lightning.sweeps.corners import corners
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.measure import BY_EPOCH, check_measure
from ser_lightning.sweeps.parameters import Range
from ser_lightning.sweeps.samplers import pruner, sampler
from ser_lightning.sweeps.settings import StudySettings
from ser_lightning.sweeps.space import Space, said
from ser_lightning.training.device import find_device

DATA = "trials would be scored on different validation parts, whose scores cannot be compared"
LUCK = "the luckiest of several seeds would win, and not keep what it promises; `ser finalize` trains several"
DEVICES = "a worker shares out its devices once, for all trials"
PLACES = "it changes no trial's score"

NOT_SEARCHED = {
    **dict.fromkeys(("corpus", "split"), DATA),
    **dict.fromkeys(("seed", "training.waveform.seed"), LUCK),
    **dict.fromkeys(("training.devices", "training.num_nodes", "training.accelerator"), DEVICES),
    **dict.fromkeys(("tracking", "runs_dir", "cache_dir", "scratch_dir", "experiment", "pictures"), PLACES),
    **dict.fromkeys(("training.keep_epochs", "training.keep_on_device", "training.num_workers"), PLACES),
    "extraction_workers": PLACES,
}
"""Keys and sections that no search may touch, and why."""


def check(frozen: Frozen, given: Sequence[str], place: str) -> None:
    """Check a study; `given` are the command line's words for the base, `place` names the sweep file.

    Raises:
        ConfigError: it names the file, the key and the remedy.
        UserError: a Python package is missing.
    """
    _check_sections(frozen, place)
    try:
        space = frozen.searched
        _check_words(space, given)
        for values in corners(space):
            _check_looks(frozen, _check_trial(frozen, values))
        for point in frozen.start:
            space.fixed(point)
            _check_trial(frozen, space.walk(point))
        _check_sampler(frozen.study, space)
        _check_pruner(frozen.study)
        _check_room(frozen)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _check_sections(frozen: Frozen, place: str) -> None:
    for key in frozen.space:
        for above, reason in NOT_SEARCHED.items():
            if f"{key}.".startswith(f"{above}."):
                raise ConfigError(f"{place}: space.{key} cannot be searched: {reason}")
        if key == "model.name":
            raise ConfigError(f"{place}: space.{key}: search the group, whose choices bring their values: model: [...]")
    for key, limit in frozen.constraints.items():
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 < limit < float("inf"):
            raise ConfigError(f"{place}: constraints.{key}={limit}: the most that it may be, a number above 0")
    if not isinstance(frozen.start, list) or not all(isinstance(point, dict) for point in frozen.start):
        raise ConfigError(f"{place}: `start` is a list of mappings of searched keys to values")


def _check_words(space: Space, given: Sequence[str]) -> None:
    """An override that every trial would replace must not be taken in silence."""
    for one, p in itertools.product(parse(given), space.parameters):
        if space.sets(p, one.key) and not p.when:
            raise ConfigError(
                f"{one.key}={one.text}: every trial sets {one.key} itself; leave the word out, or take {p.key} out of "
                "the space"
            )


def _check_trial(frozen: Frozen, values: Mapping[str, Any]) -> Config:
    tree = frozen.searched.apply(values)
    try:
        for key, reason in NOT_SEARCHED.items():  # which groups and whole objects may bring along
            if has(tree, key) and at(tree, key) != at(frozen.base, key):
                raise ConfigError(f"{key} differs from the base's, and cannot be searched: {reason}")
        _check_ranges(frozen.searched, values)
        return bind(tree, "")
    except ConfigError as error:
        raise ConfigError(f"{error} (in the trial {said(values)})") from error


def _check_looks(frozen: Frozen, config: Config) -> None:
    for section, keys in (("study.objectives", frozen.study.objectives), ("constraints", frozen.constraints)):
        for key in keys:
            check_measure(key, section, config)


def _check_sampler(study: StudySettings, space: Space) -> None:
    sampler(study)
    if not space.searched:
        raise ConfigError("space: nothing is drawn: every key follows another one; give choices or a range")
    for p in space.searched.values():
        if study.sampler["name"] == "brute_force" and isinstance(p, Range) and p.endless:
            raise ConfigError(
                f"space.{p.key}: brute_force tries every value, and {p} has endlessly many; give a `step`"
            )


def _check_pruner(study: StudySettings) -> None:
    pruner(study)
    name, *others = study.objectives
    if others or study.pruner["name"] == "none":
        return
    wrapped = (study.pruner.get("wrapped_pruner") or {}).get("name")
    if wrapped == "wilcoxon" or (study.pruner["name"] == "wilcoxon" and not study.crossval):
        raise ConfigError(
            "study.pruner: wilcoxon compares the folds of cross-validated trials; a run's epochs are no independent "
            "pairs. Take median or hyperband, or score trials by study.crossval, with wilcoxon as it is"
        )
    if name not in BY_EPOCH and not study.crossval:
        raise ConfigError(
            f"study.pruner: `{name}` is not followed from epoch to epoch, so no trial would be pruned; write "
            f"pruner: {{name: none}}, or take one of {', '.join(BY_EPOCH)} as objective"
        )


def _check_room(frozen: Frozen) -> None:
    points = [frozen.searched.fixed(point) for point in frozen.start]
    count = sum(point not in points[:i] for i, point in enumerate(points))
    if count > frozen.study.trials:
        raise ConfigError(f"start: {count} starting points, and study.trials={frozen.study.trials}; raise it")


def _check_ranges(space: Space, values: Mapping[str, Any]) -> None:
    """An end that happens to be whole would pass for an int, though values between would not."""
    kind = config_type(space.apply(values))
    for key in values:
        p = space.searched.get(key)
        if not isinstance(p, Range):
            continue
        wanted = type_at(kind, key)
        kinds = set(get_args(wanted) or (wanted,))
        form, fits = ("float", {float}) if isinstance(p.distribution, FloatDistribution) else ("int", {int, float})
        if Any not in kinds and not kinds & fits:
            name = " | ".join(sorted(getattr(one, "__name__", str(one)) for one in kinds))
            raise ConfigError(f"space.{key}: a range of {form} for a value of type {name}")


def check_base(frozen: Frozen) -> None:
    """Prove the base's split, or each of its folds where trials are cross-validations.

    Raises:
        ConfigError: study.crossval.folds is more than the split has.
        UserError: the accelerator is not there, or the corpus or the split can't be used.
    """
    config = bind(frozen.base, "the study's base")
    find_device(config.training)
    prepared, inner = prepare(config), frozen.study.crossval
    say_warnings(prepared.corpus)
    if inner is None:
        prepared.split()
        return
    count = len(plan(prepared, Settings()).tasks)
    if inner.folds is not None and inner.folds > count:
        raise ConfigError(f"study.crossval.folds={inner.folds}: the split has {count}; null takes all")
