"""Small finished runs and cross-validations, written as the programs that make them would."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from ser_lightning.config.compose import compose
from ser_lightning.config.schema import Config
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.proof import prove
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import summarise
from ser_lightning.files import write_csv, write_json, write_text
from ser_lightning.runs.folder import RunFolder

CLASSES = ("anger", "joy", "sadness")
TAKES = 3
"""Utterances of each speaker and class."""

FACTS: Mapping[str, Mapping[str, object]] = {
    "lightning": {"fitted_on": ["train"], "checkpoint": {"epoch": 1, "selected_by": "validation.uar"}},
    "classical": {"fitted_on": ["train", "validation"], "selected_by": "mean UAR of inner folds"},
}


@dataclass(frozen=True)
class Spoken:
    """A corpus: (id, speaker, label) of `speakers` x CLASSES x TAKES."""

    speakers: int = 6

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        names = [f"s{i}" for i in range(self.speakers)]
        return [(f"{s}_{label}_{take}", s, label) for s in names for label in CLASSES for take in range(TAKES)]

    def of(self, speakers: Sequence[str], part: str, logits: Mapping[str, Sequence[float]]) -> Predictions:
        """Rows of some speakers with the logits of each id."""
        found = [row for row in self.rows if row[1] in speakers]
        ids, names, labels = (list(column) for column in zip(*found, strict=True))
        return Predictions(CLASSES, ids, names, [part] * len(ids), labels, np.array([logits[i] for i in ids], float))


def noisy(spoken: Spoken, seed: int, right: float) -> dict[str, NDArray[np.float64]]:
    """Logits by id: normal noise, and `right` more on the true class."""
    rng = np.random.default_rng(seed)
    return {i: rng.normal(size=len(CLASSES)) + right * (np.array(CLASSES) == label) for i, _, label in spoken.rows}


@cache
def configuration(hidden: int) -> Config:
    """Of the first fold and seed; `hidden` tells one configuration from another."""
    words = (
        "corpus=table",
        "corpus.root=corpus.csv",
        f"corpus.classes=[{','.join(CLASSES)}]",
        "split=loso",
        "split.validation=1",
        "model=mfcc_lstm",
        f"model.hidden_dim={hidden}",
    )
    return compose(words).config


@dataclass(frozen=True)
class Maker:
    """Writes below `root`, in the folders' usual names."""

    root: Path
    spoken: Spoken = Spoken()
    hidden: int = 8
    """Of the model."""
    labels: tuple[str, ...] = ()
    manifest: str = "manifest"
    learner: str = "lightning"
    """classical: fitted on train and validation, chosen by inner folds."""
    recorded: str = ""
    """What tells one recording from another of the same name."""

    @property
    def places(self) -> list[str]:
        return [f"{kind}_dir={self.root / kind}" for kind in ("runs", "crossval", "fusions")]

    def run(
        self, name: str, logits: Mapping[str, Sequence[float]], fold: int = 0, seed: int = 0, last: bool = False
    ) -> RunFolder:
        """Speaker `fold` tests, the next one validates; `last`: also the last epoch, whose logits are the negatives."""
        run, others = RunFolder(self.root / "runs" / name), [f"s{i}" for i in range(self.spoken.speakers)]
        test, validation = others[fold], others[(fold + 1) % len(others)]
        found = {part: self.spoken.of([s], part, logits) for part, s in (("validation", validation), ("test", test))}
        base = configuration(self.hidden)
        config = replace(base, seed=seed, split=base.split | {"fold": fold})
        write_text(run.config, OmegaConf.to_yaml(OmegaConf.create(asdict(config))))
        utterances = [
            Utterance(i, Path(f"{i}.wav"), i + self.recorded, s, "", label, "", 1.0, 16000, 1)
            for i, s, label in self.spoken.rows
        ]
        parts = {u.id: {test: "test", validation: "validation"}.get(u.speaker, "train") for u in utterances}
        run.write_split(utterances, parts, prove(utterances, parts, speaker_dependent=False))
        (found["validation"] + found["test"]).write(run.predictions)
        if last:
            self.spoken.of([test], "test", {i: -np.array(z) for i, z in logits.items()}).write(run.last_epoch)
        write_json(run.result, self._result(name) | {part: rows.scores().as_dict() for part, rows in found.items()})
        return run

    def crossval(
        self, name: str, logits: Mapping[int, Mapping[str, Sequence[float]]], last: bool = False, folds: int = 0
    ) -> Path:
        """Leave one speaker out; `logits` by seed. `folds`: only so many are there, and it is incomplete."""
        path, wanted = self.root / "crossval" / name, self.spoken.speakers
        places = [(fold, seed) for seed in logits for fold in range(folds or wanted)]
        runs = {(f, s): self.run(f"{name}-{f}-{s}", logits[s], f, s, last) for f, s in places}
        tested = {place: Predictions.read(run.predictions).part("test") for place, run in runs.items()}
        pooled = Pooled.of((*place, rows) for place, rows in tested.items())
        pooled.write(path / "predictions.csv")
        if last:
            ends = Pooled.of((*place, Predictions.read(run.last_epoch)) for place, run in runs.items())
            ends.write(path / "predictions_last_epoch.csv")
        rows = [(f, s, run.id, "finished", "") for (f, s), run in runs.items()]
        write_csv(path / "folds.csv", ("fold", "seed", "run", "state", "reason"), rows)
        told = {"kind": "crossval", "complete": not folds, "folds": wanted, "seeds": list(logits)}
        write_json(path / "result.json", self._result(name) | told | {"figures": {"chosen": summarise(pooled)}})
        return path

    def _result(self, name: str) -> dict[str, object]:
        return {
            "id": name,
            "experiment": None,
            "labels": list(self.labels),
            "manifest": self.manifest,
            "classes": list(CLASSES),
            **FACTS[self.learner],
        }
