"""Systems whose logits are drawn, in folders as the program writes them, with all that a report shows."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.files import write_csv, write_json, write_text
from ser_lightning.runs.folder import RunFolder

from .systems import HISTORY, Maker, Place, Spoken, change, configuration, history, noisy, run_id, write_yaml

CLASSES = ("anger", "happiness", "sadness")


@dataclass
class Study:
    """What `Shelf.crossval` writes. `right` is how far the true class's logit is lifted: the higher, the better."""

    name: str = "emodb-mfcc_lstm-0123456789ab"
    speakers: int = 5
    seeds: Sequence[int] = (0,)
    takes: int = 6
    right: float = 1.2
    classes: Sequence[str] = CLASSES
    labels: Sequence[str] = ()
    epochs: int = 8
    learner: str = "lightning"
    model: str = "mfcc_lstm"
    missing: Mapping[Place, str] = field(default_factory=dict)
    """(fold, seed) -> why it has no predictions."""
    selected: bool = False
    shared: Sequence[str] = ()
    """Speakers that stand in training and test."""
    command: Sequence[str] = ("/opt/bin/ser", "crossval", "experiment=emodb_fused", "split=loso")

    @property
    def places(self) -> list[Place]:
        return [(fold, seed) for fold in range(self.speakers) for seed in self.seeds]

    def maker(self, root: Path) -> Maker:
        base = configuration(64)
        given = {
            "corpus": {"name": "emodb", "root": "data/emodb", "classes": list(self.classes)}
            | {"labels": {name: name for name in self.classes}},
            "model": {"name": self.model} | ({"hidden_dim": 64} if self.learner == "lightning" else {}),
            "training": replace(base.training, learner=self.learner, max_epochs=max(self.epochs, 1)),
            "experiment": "emodb_fused",
        }
        # Each class has one utterance more than the one before it, or WA would be UAR.
        spoken = Spoken(self.speakers, self.classes, self.takes, more=1)
        return Maker(root, spoken, labels=tuple(self.labels), learner=self.learner, given=given)


class Shelf:
    """Writes into `root`/runs, crossval and fusions."""

    def __init__(self, root: Path) -> None:
        self.root, self.rng, self.places = root, np.random.default_rng(0), Maker(root).places

    def crossval(self, study: Study, kind: str = "crossval") -> Pooled:
        """A leave-one-speaker-out cross-validation: fold i tests speaker i; what was predicted."""
        maker = study.maker(self.root)
        logits = {seed: self._drawn(study) for seed in study.seeds}
        path = maker.crossval(study.name, logits, bool(study.epochs), study.missing, kind)
        write_yaml(path / "config.yaml", maker.config)
        write_json(path / "environment.json", _environment(study))
        if study.selected:
            figures: dict[str, Any] = {"note": "the best test epoch of each fold"}
            figures |= {"uar": {"mean": 0.987, "std": 0.012}, "wa": {"mean": 0.976, "std": 0.023}}
            change(path / "result.json", figures={"selected on test": figures})
        for place in study.places:
            if place not in study.missing:
                self._trained(study, RunFolder(self.root / "runs" / run_id(study.name, place)), place[0])
        self.look(study, study.places)
        return Pooled.read(path / "predictions.csv")

    def run(self, study: Study, scored: bool = True) -> Predictions:
        """The run of fold 0 and the first seed under the study's name; what was predicted."""
        run = study.maker(self.root).run(study.name, self._drawn(study), scored=scored)
        change(run.result, epochs=study.epochs)
        self._trained(study, run, fold=0)
        return Predictions.read(run.predictions).part("test" if scored else "validation")

    def look(self, study: Study, places: Iterable[Place]) -> None:
        """Lines of the vault, which is read as it stands here."""
        path = self.root / "runs" / "test_looks.csv"
        rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []
        for fold, seed in places:
            row = {"time": f"2026-01-0{1 + seed}T10:{fold:02d}:00+00:00", "run": run_id(study.name, (fold, seed))}
            row |= {"configuration": study.name[-12:], "kind": "chosen checkpoint", "experiment": "emodb_fused"}
            row |= {"corpus": "emodb", "labels": "; ".join(study.labels), "test_speakers": f'["s{fold}"]'}
            rows.append(row | {"test_part": f"s{fold}"})
            digests = [i for i, speaker, _ in study.maker(self.root).spoken.rows if speaker == f"s{fold}"]
            write_text(path.parent / "test_parts" / f"s{fold}", "".join(f"{digest}\n" for digest in digests))
        write_csv(path, list(rows[0]), [list(row.values()) for row in rows])

    def _drawn(self, study: Study) -> dict[str, Any]:
        return noisy(study.maker(self.root).spoken, int(self.rng.integers(2**31)), study.right)

    def _trained(self, study: Study, run: RunFolder, fold: int) -> None:
        """What a training leaves of its course, and of the speakers that its parts share."""
        write_json(run.environment, _environment(study))
        if study.epochs:
            write_csv(run.metrics, HISTORY, history(study.epochs, len(study.classes), self.rng))
        if shared := sorted(set(study.shared) & {f"s{fold}"}):
            nothing: dict[str, list[str]] = {"train+validation": [], "validation+test": []}
            change(run.proof, shared_speakers=nothing | {"train+test": shared}, speaker_dependent=True)


def _environment(study: Study) -> dict[str, Any]:
    packages = {"ser-lightning": "0.1.0", "torch": "2.13.0"}
    return {"python": "3.11.7", "packages": packages, "gpu": None, "command": list(study.command)}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)
