"""What may be set side by side: predictions of the same utterances with the same labels."""

from collections import Counter
from collections.abc import Sequence

from ser_lightning.errors import UserError
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import read_csv
from ser_lightning.reports.system import System

NAMED = 5
"""Utterances that an error names; of more, it tells the number."""


def disagreements(a: str, left: Predictions, b: str, right: Predictions) -> list[str]:
    """What keeps `left` (named `a`) and `right` (named `b`) apart, a sentence each; empty where nothing does."""
    if list(left.classes) != list(right.classes):
        return [f"the classes are {', '.join(left.classes)} in {a}, {', '.join(right.classes)} in {b}"]
    return [*_lacking(a, left, b, right), *_lacking(b, right, a, left), *_otherwise(a, left, b, right)]


def like(a: str, first: Predictions, b: str, rows: Predictions) -> Predictions:
    """`rows` in the order of `first`, whose utterances are named once each.

    Raises:
        UserError: the two differ in classes, utterances, labels or speakers.
    """
    if apart := disagreements(a, first, b, rows):
        raise UserError(f"{a} and {b} do not hold the same {[*first.parts, *rows.parts][0]} rows: {'; '.join(apart)}")
    place = {i: number for number, i in enumerate(rows.ids)}
    return rows.rows([place[i] for i in first.ids])


def _lacking(a: str, left: Predictions, b: str, right: Predictions) -> list[str]:
    extra = Counter(left.ids) - Counter(right.ids)
    if not extra:
        return []
    only = list(extra)
    return [f"{a} has {len(only)} utterance{'s' * (len(only) > 1)} that {b} lacks ({_some(only)})"]


def _otherwise(a: str, left: Predictions, b: str, right: Predictions) -> list[str]:
    found = []
    for what, mine, theirs in (("labels", left.labels, right.labels), ("speakers", left.speakers, right.speakers)):
        ours, others = dict(zip(left.ids, mine, strict=True)), dict(zip(right.ids, theirs, strict=True))
        other = [i for i in ours if i in others and ours[i] != others[i]]
        named = "; ".join(f"{i}: {ours[i]} in {a}, {others[i]} in {b}" for i in other[:NAMED])
        found += [f"{len(other)} {what} differ ({named})"] if other else []
    return found


def recorded_differently(a: System, b: System) -> list[str]:
    """The tested utterances of one name whose audio differs, by the digests in the runs' split.csv."""
    if a.result["manifest"] == b.result["manifest"]:
        return []
    mine, theirs = digests(a), digests(b)
    other = [i for i in sorted(set(a.pooled.rows.ids)) if mine.get(i) != theirs.get(i)]
    return [f"{len(other)} recordings differ under one name ({_some(other)})"] if other else []


def digests(system: System) -> dict[str, str]:
    """Audio digest of each utterance.

    Raises:
        UserError: a run's folder is gone.
    """
    files = [runs[0].split for runs in system.runs.values()]
    if gone := [file for file in files if not file.exists()]:
        raise UserError(f"{system.name}: {gone[0]} is gone; restore it, or start the command that made it again")
    return {row["id"]: row["digest"] for file in files for row in read_csv(file)}


def _some(ids: Sequence[str]) -> str:
    return ", ".join(ids[:NAMED]) + (", ..." if len(ids) > NAMED else "")
