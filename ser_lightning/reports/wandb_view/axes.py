"""The axes of a study's parallel coordinates: where the runs' configuration in W&B has what a trial set."""

from collections.abc import Iterator, Mapping

from ser_lightning.config.tree import leaves
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.parameters import Range, Searched
from ser_lightning.sweeps.tell_wandb import objective_key
from ser_lightning.tracking.view.contents import Axis, Sweep


def sweep_of(frozen: Frozen) -> Sweep:
    """Every parameter that is drawn; one that stands for several keys has an axis for each key that it changes."""
    axes = [axis for p in frozen.searched.searched.values() for axis in _axes(frozen, p)]
    objectives = {objective_key(key): direction for key, direction in frozen.study.objectives.items()}
    return Sweep(frozen.study.name, axes, objectives)


def _axes(frozen: Frozen, p: Searched) -> Iterator[Axis]:
    if isinstance(p, Range):
        yield Axis(p.key, p.distribution.log)
        return
    group = frozen.searched.is_group(p.key)
    values = [frozen.choices[p.key][value] for value in p.values] if group else p.values
    if group and all("name" in value for value in values):
        yield Axis(f"{p.key}.name")  # says what the others are
        return
    found = [dict(leaves(value, f"{p.key}.")) if isinstance(value, Mapping) else {p.key: value} for value in values]
    for key in dict.fromkeys(key for one in found for key in one):
        if any(key not in one or one[key] != found[0].get(key) for one in found):
            yield Axis(key)
