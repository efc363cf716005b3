"""What of a study may change once it has trials: nothing that makes scores incomparable, or that Optuna refuses."""

from collections.abc import Iterator

from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.parameters import Choice, Range, Searched

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
