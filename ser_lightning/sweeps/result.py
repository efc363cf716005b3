"""What a study looks at in finished runs: values by dotted key, means over folds; never a test score."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from ser_lightning.config.tree import at, has
from ser_lightning.errors import UserError
from ser_lightning.evaluation.summary import unequal
from ser_lightning.runs.folder import RunFolder


def value(runs: Sequence[RunFolder], key: str) -> float:
    """Mean over `runs` of a result's value at a dotted key such as `validation.uar` or `parameters`.

    Raises:
        UserError: a result has no number there.
    """
    found = [_one(run.read_result(), key) for run in runs]
    return sum(found) / len(found)


def note(runs: Sequence[RunFolder]) -> str:
    """What a mean over the folds `runs` has to be read with; mostly nothing."""
    recalls = [run.read_result()["validation"]["recall"] for run in runs]
    return unequal({fold: [name for name in found if found[name] is not None] for fold, found in enumerate(recalls)})


def _one(result: Mapping[str, Any], key: str) -> float:
    number = at(result, key) if has(result, key) else None
    if isinstance(number, bool) or not isinstance(number, int | float) or not isfinite(number):
        # The same words for every trial: so many of them in a row end the sweep.
        raise UserError(f"no finite number at `{key}` in result.json, which the study looks at")
    return float(number)
