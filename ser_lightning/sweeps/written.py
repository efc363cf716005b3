"""From a search space's YAML to parameters."""

import math
import warnings
from collections.abc import Mapping
from typing import Any

from optuna.distributions import FloatDistribution, IntDistribution

from ser_lightning.config.components import hint
from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.parameters import Choice, Conditions, Derived, Parameter, Range, label

FORMS: dict[str, tuple[str, ...]] = {
    "int": ("step", "log", "when"),
    "float": ("step", "log", "when"),
    "choices": ("when",),
    "of": ("times", "when"),
}
"""The key that says what a parameter is, and what may stand beside it."""

EXAMPLE = (
    "write a list of choices, {choices: [...]}, {int: [1, 9]}, {float: [0.1, 0.9], log: true} or {of: KEY, times: 2}"
)


def parameter(key: str, written: Any) -> Parameter:
    """The parameter that stands under `key`.

    Raises:
        ConfigError: it has none of the forms, a range is empty, or a choice is given twice.
    """
    if isinstance(written, list):
        return _choice(key, {}, written)
    if not isinstance(written, dict):
        raise ConfigError(f"space.{key}: {written!r} is no parameter; {EXAMPLE}")
    found = [form for form in FORMS if form in written]
    if len(found) != 1:
        raise ConfigError(f"space.{key}: must have one of {', '.join(FORMS)}; {EXAMPLE}")
    (form,) = found
    for name in written.keys() - {form, *FORMS[form]}:
        raise ConfigError(f"space.{key}: `{name}` does not go with `{form}`{hint(str(name), FORMS[form])}")
    when = _conditions(key, written.get("when", {}))
    if form == "choices":
        return _choice(key, when, written[form])
    if form == "of":
        return _derived(key, when, written)
    return _range(key, when, written, form)


def _conditions(key: str, written: Any) -> Conditions:
    if not isinstance(written, dict) or [] in written.values():
        raise ConfigError(f"space.{key}: `when` is a mapping of keys to a value or a list of values")
    return {str(k): tuple(v) if isinstance(v, list) else (v,) for k, v in written.items()}


def _choice(key: str, when: Conditions, values: Any) -> Choice:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"space.{key}: choices are a list of at least one value")
    found = Choice(key, when, tuple(values))
    for i, one in enumerate(found.labels):
        # True equals 1 and 1.0, and a stored label has to lead back to one value.
        if one in found.labels[:i]:
            raise ConfigError(f"space.{key}: `{one}` equals an earlier choice; leave one of them out")
    return found


def _derived(key: str, when: Conditions, written: Mapping[str, Any]) -> Derived:
    of, times = written["of"], written.get("times", 1)
    if not isinstance(of, str) or not of:
        raise ConfigError(f"space.{key}: `of` names the key that it follows, such as features.fine.n_fft")
    if not _number(times):
        raise ConfigError(f"space.{key}: `times` is {times!r}; give a number")
    return Derived(key, when, of, times)


def _range(key: str, when: Conditions, written: Mapping[str, Any], form: str) -> Range:
    ends, step, log = written[form], written.get("step"), written.get("log", False)
    if not isinstance(ends, list) or len(ends) != 2 or not all(_number(end) for end in ends):
        raise ConfigError(
            f"space.{key}: {form} is {label(ends)}; give the least and the greatest value: {form}: [1, 9]"
        )
    if not isinstance(log, bool) or not (step is None or _number(step)):
        raise ConfigError(f"space.{key}: `step` is a number and `log` true or false")
    if log and (step is not None or ends[0] <= 0):
        raise ConfigError(f"space.{key}: a logarithmic range takes no `step`, and both its ends are above 0")
    if ends[0] > ends[1]:
        raise ConfigError(f"space.{key}: {form} is {label(ends)}; the least value comes first")
    if form == "int" and not all(isinstance(one, int) for one in (*ends, step or 1)):
        raise ConfigError(f"space.{key}: an int range and its step are whole numbers; write float: {label(ends)}")
    try:
        with warnings.catch_warnings():
            # Optuna warns when it moves an end that no step reaches.
            warnings.simplefilter("error")
            return Range(key, when, _distribution(form, ends[0], ends[1], step, log))
    except UserWarning as error:
        raise ConfigError(f"space.{key}: steps of {step} from {ends[0]} do not reach {ends[1]}; move an end") from error
    except ValueError as error:
        raise ConfigError(f"space.{key}: {error}") from error


def _distribution(form: str, low: Any, high: Any, step: Any, log: bool) -> IntDistribution | FloatDistribution:
    if form == "int":
        return IntDistribution(low, high, log=log, step=1 if step is None else step)
    return FloatDistribution(float(low), float(high), log=log, step=step)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
