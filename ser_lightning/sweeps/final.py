"""What `ser finalize` leaves in a study's folder."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from ser_lightning.crossval.folder import CrossvalFolder
from ser_lightning.crossval.plan import Plan
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, summarise
from ser_lightning.files import read_csv, read_json
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.vault import configuration_of, configurations, looks_at, recordings_of
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.sweeps.settings import InnerFolds
from ser_lightning.sweeps.winner import tried


class FinalFolder(CrossvalFolder):
    """`studies/STUDY/final/<id>`: the trainings as a cross-validation keeps them, and what the study says of them."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.final, self.experiment = path / "final.json", path / "experiment.yaml"

    def read(self) -> dict[str, Any]:
        """final.json."""
        return read_json(self.final)


def facts(final: FinalFolder, chosen: Plan, study: Study, frozen: Frozen, trial: FrozenTrial) -> dict[str, Any]:
    """Figures of the trainings, and what they have to be read with: how much was tried and looked at before them."""
    runs = [(task, RunFolder(task.prepared.run_path)) for task in chosen.tasks]
    validation = Pooled.of((t.fold, t.seed, Predictions.read(r.predictions).part("validation")) for t, r in runs)
    scored = summarise(validation, [run.read_result() for _, run in runs])
    return {
        "study": frozen.study.name,
        "trial": trial.number,
        "objectives": dict(zip(frozen.study.objectives, trial.values, strict=True)),
        "searched_seed": chosen.base.config.seed,
        "values": frozen.searched.values(trial.params),
        "tried": tried(study),
        "looked_before": _looked_before(final, chosen),
        "test_seen_in_search": _seen(chosen, frozen.study.crossval),
        "figures": {"validation": scored, "test": final.read_result()["figures"][CHOSEN]},
    }


def _looked_before(final: FinalFolder, chosen: Plan) -> int:
    """Other configurations that had looked at these recordings; what looks later does not change it."""
    if final.final.exists():
        return int(final.read()["looked_before"])
    run = chosen.tasks[0].prepared
    recordings = set[str]().union(*(recordings_of(RunFolder(task.prepared.run_path)) for task in chosen.tasks))
    looks = looks_at(run.run_path.parent, recordings)
    return configurations(look for look in looks if look.configuration != configuration_of(run.config))


def _seen(chosen: Plan, inner: InnerFolds | None) -> float:
    """The share of the tested recordings that validated in a fold by which trials were scored."""
    folds = {task.fold: RunFolder(task.prepared.run_path) for task in chosen.tasks}
    searched = sorted(folds)[: inner.folds if inner else None]
    tested = _digests(folds.values(), "test")
    return len(tested & _digests([folds[fold] for fold in searched], "validation")) / len(tested)


def _digests(runs: Iterable[RunFolder], part: str) -> set[str]:
    return {row["digest"] for run in runs for row in read_csv(run.split) if row["part"] == part}
