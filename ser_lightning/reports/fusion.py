"""What late fusion is made of: members that belong together, and their rows fold by fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ser_lightning.errors import UserError
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.reports.same import like
from ser_lightning.reports.system import Place, System
from ser_lightning.reports.weights import Chosen, choose, fused
from ser_lightning.runs.folder import RunFolder


@dataclass(frozen=True)
class Fold:
    """One fold and seed: the members' runs and their rows, in one order."""

    place: Place
    runs: Sequence[RunFolder]
    validation: Sequence[Predictions]
    test: Sequence[Predictions]
    last_epoch: Sequence[Predictions] | None
    """Test rows of the last epoch; None unless every member has them."""

    @property
    def test_speakers(self) -> list[str]:
        return sorted(set(self.test[0].speakers))

    def weights(self, given: tuple[float, ...] | None, parts: int) -> Chosen:
        """Those given, or the grid point of 1 / `parts` that the validation rows choose."""
        if given is None:
            return choose(self.validation, parts)
        return Chosen(given, fused(self.validation, given).scores().uar)


def refuse_unlike(members: Sequence[System]) -> None:
    """Raises UserError: members are of different kinds, corpora or classes, fusions, or incomplete."""
    for member in members:
        if member.kind == "fusion":
            raise UserError(f"{member.name} is a fusion; fuse its members ({', '.join(member.result['members'])})")
        if not member.result.get("complete", True):
            raise UserError(f"{member.name} is incomplete: start its `ser crossval` again, then fuse")
    for a, b in pairwise(members):
        if a.kind != b.kind:
            raise UserError(f"{a.name} is a {a.kind}, {b.name} a {b.kind}; fuse systems of one kind")
        for what in ("manifest", "classes"):
            if a.result[what] != b.result[what]:
                raise UserError(
                    f"{a.name} and {b.name} differ in {what} ({a.result[what]}, {b.result[what]}): "
                    "fuse systems of one corpus"
                )


def folds(members: Sequence[System]) -> list[Fold]:
    """Every fold and seed that all members have. Runs have one each, which may differ in the seed.

    Raises:
        UserError: members share none, or their validation or test utterances differ.
    """
    last = [pooled for member in members if (pooled := member.last_epoch) is not None]
    if members[0].kind == "run":
        return [_fold(members, last, [next(iter(member.runs)) for member in members])]
    common = sorted(set.intersection(*(set(member.runs) for member in members)))
    if not common:
        raise UserError(f"{', '.join(m.name for m in members)} share no fold and seed; cross-validate with equal seeds")
    return [_fold(members, last, [place] * len(members)) for place in common]


def left_out(members: Sequence[System], used: Sequence[Fold]) -> list[Place]:
    """What some members have and others lack."""
    if members[0].kind == "run":
        return []
    return sorted({place for member in members for place in member.runs} - {fold.place for fold in used})


def _fold(members: Sequence[System], last: Sequence[Pooled], places: Sequence[Place]) -> Fold:
    runs = [member.runs[place][0] for member, place in zip(members, places, strict=True)]
    return Fold(
        places[0],
        runs,
        _alike(runs, [_validation(run) for run in runs]),
        _at(runs, [member.pooled for member in members], places),
        _at(runs, last, places) if len(last) == len(members) else None,
    )


def _at(runs: Sequence[RunFolder], pooled: Sequence[Pooled], places: Sequence[Place]) -> list[Predictions]:
    return _alike(runs, [one.at(*place) for one, place in zip(pooled, places, strict=True)])


def _alike(runs: Sequence[RunFolder], rows: Sequence[Predictions]) -> list[Predictions]:
    return [like(runs[0].id, rows[0], run.id, found) for run, found in zip(runs, rows, strict=True)]


def _validation(run: RunFolder) -> Predictions:
    if not run.predictions.exists():
        raise UserError(f"{run.path} is gone; start the command that made it again, or name its folder with runs_dir=")
    return Predictions.read(run.predictions).part("validation")
