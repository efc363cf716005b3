"""Optuna's samplers and pruners by name, with their constructors' parameters checked."""

import inspect
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import numpy as np
from optuna import pruners, samplers
from optuna.exceptions import ExperimentalWarning
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, BruteForceSampler, QMCSampler, RandomSampler

from ser_lightning.config.components import hint
from ser_lightning.errors import ConfigError, UserError
from ser_lightning.sweeps.settings import StudySettings


class BruteForce(BruteForceSampler):
    """Every point once. Optuna's stops `study.optimize` after the last; here `study.trials` ends the sweep."""

    def after_trial(self, *_: Any) -> None:
        """Nothing to stop."""


SAMPLERS: dict[str, type[BaseSampler]] = {
    "tpe": samplers.TPESampler,
    "random": RandomSampler,
    "gp": samplers.GPSampler,
    "cmaes": samplers.CmaEsSampler,
    "qmc": QMCSampler,
    "nsgaii": samplers.NSGAIISampler,
    "nsgaiii": samplers.NSGAIIISampler,
    "brute_force": BruteForce,
}
PRUNERS: dict[str, type[BasePruner]] = {
    "none": pruners.NopPruner,
    "median": pruners.MedianPruner,
    "percentile": pruners.PercentilePruner,
    "successive_halving": pruners.SuccessiveHalvingPruner,
    "hyperband": pruners.HyperbandPruner,
    "threshold": pruners.ThresholdPruner,
    "wilcoxon": pruners.WilcoxonPruner,
    "patient": pruners.PatientPruner,
}
SIMPLE = {"int": int, "float": (int, float), "bool": bool, "str": str, "None": type(None)}
"""Types that YAML can give a constructor; parameters of any other type are not offered."""
PACKAGES = {"cmaes": "cmaes", "gp": "torch", "qmc": "scipy"}
"""What a sampler imports not before its first trial."""


def sampler(settings: StudySettings, number: int = 0) -> BaseSampler:
    """The sampler of trial `number`.

    Two workers that began with one seed would draw the same points; each trial has its own numbers instead, derived
    from the seed and the trial's number, so that it doesn't matter who asks.

    Raises:
        ConfigError: unknown name or parameter, a value of the wrong type, or several objectives for one that has one.
        UserError: the sampler needs a package that isn't installed.
    """
    name, given = _named("sampler", settings.sampler, SAMPLERS)
    if name == "cmaes" and len(settings.objectives) > 1:
        raise ConfigError("study.sampler: cmaes knows one objective; use tpe, nsgaii or gp for several")
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        raise UserError(f"study.sampler: {name} needs a Python package: pip install {PACKAGES[name]}")
    kind, seed = SAMPLERS[name], given.get("seed")
    _check("study.sampler", name, kind, given)
    if seed is not None:
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        # One sequence for all its trials; only what the sequence cannot give is drawn trial by trial.
        given |= {"independent_sampler": RandomSampler(own)} if kind is QMCSampler else {"seed": own}
    return _built(f"study.sampler: {name}", kind, given)  # type: ignore[no-any-return]


def pruner(settings: StudySettings) -> BasePruner:
    """The pruner.

    Raises:
        ConfigError: unknown name or parameter, or a value of the wrong type.
    """
    return _pruner("study.pruner", settings.pruner)


def _pruner(where: str, settings: Mapping[str, Any]) -> BasePruner:
    if not isinstance(settings, Mapping):
        raise ConfigError(f"{where} is a mapping, such as {{name: median}}")
    name, given = _named(where.rpartition(".")[2], settings, PRUNERS)
    wrapped = {}
    if name == "patient":
        inner = given.pop("wrapped_pruner", None)
        wrapped = {"wrapped_pruner": _pruner(f"{where}.wrapped_pruner", inner) if inner else None}
    _check(where, name, PRUNERS[name], given)
    return _built(f"{where}: {name}", PRUNERS[name], given | wrapped)  # type: ignore[no-any-return]


def _named(kind: str, settings: Mapping[str, Any], table: Mapping[str, type]) -> tuple[str, dict[str, Any]]:
    given = dict(settings)
    name = given.pop("name", None)
    if name is None:
        raise ConfigError(f"study.{kind}: no `name`; known: {', '.join(table)}")
    if name == "grid":
        raise ConfigError("study.sampler: `grid` is `brute_force` here, which knows conditional parameters too")
    if name not in table:
        raise ConfigError(f"study.{kind}: unknown {kind} `{name}`{hint(str(name), table)}")
    return str(name), given


def _check(where: str, name: str, kind: type, given: Mapping[str, Any]) -> None:
    known = _parameters(kind)
    for key, value in given.items():
        if key not in known:
            raise ConfigError(f"{where}: {name} has no parameter `{key}`{hint(key, known)}")
        types = known[key]
        if not any(_is(value, one) for one in types):
            raise ConfigError(f"{where}: {name}'s `{key}` is {' or '.join(types)}, not {value!r}")


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "bool"
    return isinstance(value, SIMPLE[kind])  # type: ignore[arg-type]


def _parameters(kind: type) -> dict[str, list[str]]:
    """Names of types by parameter, from the constructor's annotations."""
    if kind is pruners.NopPruner:
        return {}
    found = inspect.signature(kind.__init__).parameters  # type: ignore[misc]
    texts = {name: getattr(p.annotation, "__name__", str(p.annotation)) for name, p in found.items() if name != "self"}
    types = {name: [part.strip() for part in text.strip("'").split("|")] for name, text in texts.items()}
    return {name: parts for name, parts in types.items() if all(part in SIMPLE for part in parts)}


def _built(where: str, kind: type, given: Mapping[str, Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return kind(**given)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error
