"""Checking a study before its first trial: every key, type and range that a trial may meet."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from optuna.distributions import FloatDistribution

from ser_lightning.config.binding import config_type
from ser_lightning.config.compose import bind
from ser_lightning.config.overrides import parse
from ser_lightning.config.shapes import type_at
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.corners import corners
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.measure import check_measure
from ser_lightning.sweeps.parameters import Range
from ser_lightning.sweeps.space import Space, said

DATA = "trials would be scored on different validation parts, whose scores cannot be compared"
PLACES = "it changes no trial's score"

NOT_SEARCHED = {"corpus": DATA, "split": DATA} | dict.fromkeys(
    ("tracking", "runs_dir", "cache_dir", "extraction_workers", "experiment"), PLACES
)
"""Sections that no search may touch, and why."""


def check(frozen: Frozen, given: Sequence[str], place: str) -> None:
    """Check a study; `given` are the command line's words for the base, `place` names the sweep file.

    Raises:
        ConfigError: it names the file, the key and the remedy.
    """
    _check_sections(frozen, place)
    try:
        space = frozen.searched
        _check_words(space, given)
        for values in corners(space):
            _check_trial(frozen, values)
        for point in frozen.start:
            space.fixed(point)
            _check_trial(frozen, space.walk(point))
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _check_sections(frozen: Frozen, place: str) -> None:
    if not frozen.space:
        raise ConfigError(f"{place}: `space` is empty: give the keys to search")
    for key in frozen.space:
        if reason := NOT_SEARCHED.get(key.partition(".")[0]):
            raise ConfigError(f"{place}: space.{key} cannot be searched: {reason}")
        if key == "model.name":
            raise ConfigError(f"{place}: space.{key}: search the group, whose choices bring their values: model: [...]")
    for key, limit in frozen.constraints.items():
        check_measure(key, f"{place}: constraints")
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


def _check_trial(frozen: Frozen, values: Mapping[str, Any]) -> None:
    try:
        _check_ranges(frozen.searched, values)
        bind(frozen.searched.apply(values), "")
    except ConfigError as error:
        raise ConfigError(f"{error} (in the trial {said(values)})") from error


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
