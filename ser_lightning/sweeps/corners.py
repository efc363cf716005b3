"""The trials that show whether a space fits the schema: all its choices, ends and conditions."""

import itertools
from collections.abc import Iterator
from typing import Any

from ser_lightning.errors import ConfigError
from ser_lightning.sweeps.parameters import Searched
from ser_lightning.sweeps.references import provides
from ser_lightning.sweeps.space import Space


def corners(space: Space) -> Iterator[dict[str, Any]]:
    """Values of trials in which every choice, both ends of every range, and both sides of every condition occur.

    Groups and what conditions look at are crossed; the rest vary side by side.

    Raises:
        ConfigError: a parameter that is never set.
    """
    asked = {key for p in space.parameters for key in p.when}
    pivots = [p for p in space.searched.values() if space.is_group(p.key) or any(provides(p, key) for key in asked)]
    rest = [p for p in space.searched.values() if p not in pivots]
    unseen = {p.key for p in space.parameters}
    for picks in itertools.product(*(_pivot_values(space, p) for p in pivots)):
        pivot = dict(zip([p.key for p in pivots], picks, strict=True))
        for i in range(max((len(p.corners) for p in rest), default=1)):
            values = space.walk(pivot | {p.key: p.corners[i % len(p.corners)] for p in rest})
            unseen -= values.keys()
            yield values
    for key in sorted(unseen):
        raise ConfigError(f"space.{key}: its `when` never holds in this space")


def _pivot_values(space: Space, pivot: Searched) -> list[Any]:
    asked = [value for p in space.parameters for value in p.when.get(pivot.key, ())]
    return [*pivot.corners, *(value for value in asked if value not in pivot.corners)]
