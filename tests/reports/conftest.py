"""Folders of runs, cross-validations and fusions as the program writes them, made by hand from drawn logits."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions

CLASSES = ("anger", "happiness", "sadness")
SELECTED = {"lightning": "validation.uar", "classical": "mean UAR of 5 inner folds over speakers"}


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
    missing: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """(fold, seed) -> why it has no predictions."""
    selected: bool = False
    shared: Sequence[str] = ()
    """Speakers that stand in training and test."""
    command: Sequence[str] = ("/opt/bin/ser", "crossval", "experiment=emodb_fused", "split=loso")

    @property
    def places(self) -> list[tuple[int, int]]:
        return [(fold, seed) for fold in range(self.speakers) for seed in self.seeds]


class Shelf:
    """Writes into `root`/runs, crossval and fusions; what is written is also returned."""

    def __init__(self, root: Path) -> None:
        self.root, self.rng = root, np.random.default_rng(0)

    @property
    def places(self) -> list[str]:
        return [f"{kind}_dir={self.root / folder}" for kind, folder in FOLDERS.items()]

    def crossval(self, study: Study, kind: str = "crossval") -> Pooled:
        """A leave-one-speaker-out cross-validation: fold i tests speaker i."""
        path = self.root / ("fusions" if kind == "fusion" else "crossval") / study.name
        found = [(f, s, self.draw(study, [f])) for f, s in study.places if (f, s) not in study.missing]
        pooled = Pooled.of(found)
        pooled.write(path / "predictions.csv")
        if study.epochs:
            last = Pooled.of([(f, s, self.draw(study, [f])) for f, s, _ in found])
            last.write(path / "predictions_last_epoch.csv")
        self.write_yaml(path / "config.yaml", self.config(study))
        self.write_json(path / "environment.json", self.environment(study))
        self.write_csv(path / "folds.csv", [self.fold(study, place) for place in study.places])
        self.write_json(path / "result.json", self.result(study, kind))
        for place in study.places:
            self.run_folder(study, place)
        self.look(study, study.places)
        return pooled

    def run(self, study: Study) -> Predictions:
        """The run of fold 0 and the first seed, evaluated; its id is the study's name."""
        place = (0, study.seeds[0])
        path = self.run_folder(study, place, study.name)
        test, validation = self.draw(study, [0]), self.draw(study, [1], "validation")
        (validation + test).write(path / "predictions.csv")
        scores = {"validation": validation.scores().as_dict(), "test": test.scores().as_dict()}
        facts = {"id": study.name, "labels": list(study.labels), "manifest": "f" * 64, "classes": list(study.classes)}
        self.write_json(path / "result.json", facts | scores | self.facts(study) | {"epochs": study.epochs})
        return test

    def run_folder(self, study: Study, place: tuple[int, int], name: str = "") -> Path:
        path = self.root / "runs" / (name or run_id(study, place))
        config = self.config(study)
        config["split"] |= {"fold": place[0]}
        self.write_yaml(path / "config.yaml", config | {"seed": place[1]})
        self.write_json(path / "environment.json", self.environment(study))
        self.write_json(path / "split_proof.json", self.proof(study, place[0]))
        speaker = f"s{place[0]:02d}"
        self.write_csv(path / "split.csv", [{"id": speaker, "speaker": speaker, "digest": speaker, "part": "test"}])
        if study.epochs:
            self.write_csv(path / "metrics.csv", self.history(study))
        self.write_json(path / "result.json", self.facts(study))
        return path

    def draw(self, study: Study, speakers: Iterable[int], part: str = "test") -> Predictions:
        """Rows of some speakers with drawn logits: each class has one utterance a speaker more than the one before."""
        rows = [(s, c, t) for s in speakers for c in range(len(study.classes)) for t in range(study.takes + c)]
        logits = self.rng.normal(0, 1, (len(rows), len(study.classes)))
        for row, (_, true, _) in zip(logits, rows, strict=True):
            row[true] += study.right
        names = [f"s{s:02d}" for s, _, _ in rows]
        ids = [f"s{s:02d}_{study.classes[c]}_{t}" for s, c, t in rows]
        return Predictions(
            study.classes, ids, names, [part] * len(rows), [study.classes[c] for _, c, _ in rows], logits
        )

    def history(self, study: Study) -> list[dict[str, object]]:
        chance, rows = 1 / len(study.classes), []
        for epoch in range(study.epochs):
            learnt = 1 - np.exp(-4 * (epoch + 1) / study.epochs)
            noise = self.rng.normal(0, 0.03, 4)
            row = {"epoch": epoch, "step": 10 * (epoch + 1), "learning_rate": 0.001, "seconds": 0.5}
            row |= {"train/loss": 1.1 - learnt + noise[0], "train/uar": min(chance + 0.6 * learnt + noise[1], 1.0)}
            row |= {"validation/loss": 1.1 - 0.6 * learnt + noise[2]}
            rows.append(row | {"validation/uar": chance + 0.4 * learnt + noise[3]})
        return rows

    def config(self, study: Study) -> dict[str, Any]:
        corpus = {"name": "emodb", "root": "data/emodb", "classes": list(study.classes)}
        corpus |= {"labels": {name: name for name in study.classes}}
        training = {"learner": study.learner, "max_epochs": max(study.epochs, 1), "learning_rate": 0.001}
        model = {"name": study.model} | ({"hidden_dim": 64} if study.learner == "lightning" else {})
        split = {"name": "loso", "validation": 2}
        return {"corpus": corpus, "split": split, "model": model, "training": training, "experiment": "emodb_fused"}

    def environment(self, study: Study) -> dict[str, Any]:
        packages = {"ser-lightning": "0.1.0", "torch": "2.13.0"}
        return {"python": "3.11.7", "packages": packages, "gpu": None, "command": list(study.command)}

    def proof(self, study: Study, fold: int) -> dict[str, Any]:
        names = [f"s{i:02d}" for i in range(study.speakers)]
        test, validation = [names[fold]], [names[(fold + 1) % study.speakers]]
        train = sorted(set(names) - set(test) - set(validation) | set(study.shared))
        parts = {"train": train, "validation": validation, "test": test}
        each = sum(study.takes + c for c in range(len(study.classes)))
        nothing: dict[str, list[str]] = {"train+validation": [], "train+test": [], "validation+test": []}
        return {
            "speaker_dependent": bool(study.shared),
            "utterances": {part: each * len(found) for part, found in parts.items()},
            "speakers": parts,
            "classes": {p: {n: study.takes + c for c, n in enumerate(study.classes)} for p in parts},
            "shared_speakers": nothing | {"train+test": sorted(set(study.shared) & set(test))},
            "shared_sessions": nothing,
            "shared_digests": nothing,
        }

    def fold(self, study: Study, place: tuple[int, int]) -> dict[str, object]:
        state = "failed" if place in study.missing else "finished"
        reason = study.missing.get(place, "")
        return {"fold": place[0], "seed": place[1], "run": run_id(study, place), "state": state, "reason": reason}

    def result(self, study: Study, kind: str) -> dict[str, Any]:
        gaps = [{"fold": fold, "seed": seed, "reason": "failed"} for fold, seed in study.missing]
        selected: dict[str, Any] = {"note": "the best test epoch of each fold"}
        selected |= {"uar": {"mean": 0.987, "std": 0.012}, "wa": {"mean": 0.976, "std": 0.023}}
        incomplete = [f"incomplete: {len(gaps)} of {len(study.places)} runs are missing"] if gaps else []
        return {
            "id": study.name,
            "kind": kind,
            "complete": not gaps,
            "missing": gaps,
            "experiment": "emodb_fused",
            "labels": [*study.labels, *incomplete],
            "manifest": "f" * 64,
            "classes": list(study.classes),
            "folds": study.speakers,
            "seeds": list(study.seeds),
            "selected_by": [SELECTED[study.learner]],
            "figures": {"selected on test": selected} if study.selected else {},
        }

    def facts(self, study: Study) -> dict[str, Any]:
        """What the learner says of itself."""
        selected = {"selected_by": SELECTED[study.learner]}
        if study.learner == "classical":
            return {"fitted_on": ["train", "validation"], **selected}
        return {"fitted_on": ["train"], "checkpoint": {"epoch": study.epochs // 2, **selected}}

    def look(self, study: Study, places: Iterable[tuple[int, int]]) -> None:
        path = self.root / "runs" / "test_looks.csv"
        rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []
        for fold, seed in places:
            row = {"time": f"2026-01-0{1 + seed}T10:{fold:02d}:00+00:00", "run": run_id(study, (fold, seed))}
            row |= {"configuration": study.name[-12:], "kind": "chosen checkpoint", "experiment": "emodb_fused"}
            speaker = f"s{fold:02d}"
            row |= {"corpus": "emodb", "labels": "; ".join(study.labels), "test_speakers": f'["{speaker}"]'}
            rows.append(row | {"test_part": speaker})
            (path.parent / "test_parts").mkdir(parents=True, exist_ok=True)
            (path.parent / "test_parts" / speaker).write_text(f"{speaker}\n")
        self.write_csv(path, rows)

    def write_json(self, path: Path, value: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value), encoding="utf-8")

    def write_yaml(self, path: Path, value: object) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OmegaConf.to_yaml(OmegaConf.create(value)), encoding="utf-8")

    def write_csv(self, path: Path, rows: Sequence[Mapping[str, object]]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


FOLDERS = {"runs": "runs", "crossval": "crossval", "fusions": "fusions"}


def run_id(study: Study, place: tuple[int, int]) -> str:
    return f"{study.name}-f{place[0]}s{place[1]}"


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)
