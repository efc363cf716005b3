"""Small finished runs, cross-validations and fusions, written as the programs that make them would."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from omegaconf import OmegaConf

from ser_lightning.config.compose import compose
from ser_lightning.config.identity import RESULT_VERSION
from ser_lightning.config.schema import Config
from ser_lightning.corpora.utterance import Utterance
from ser_lightning.data.proof import prove
from ser_lightning.evaluation.pooled import Pooled
from ser_lightning.evaluation.predictions import Predictions
from ser_lightning.evaluation.summary import CHOSEN, selected_by, summarise
from ser_lightning.files import write_csv, write_json, write_text
from ser_lightning.runs.folder import RunFolder

CLASSES = ("anger", "joy", "sadness")
Place = tuple[int, int]
"""Fold and seed."""

FACTS: Mapping[str, Mapping[str, Any]] = {
    "lightning": {"fitted_on": ["train"], "checkpoint": {"epoch": 1, "selected_by": "validation.uar"}},
    "classical": {"fitted_on": ["train", "validation"], "selected_by": "mean UAR of 5 inner folds over speakers"},
}
"""What a run's result says of its learner."""


@dataclass(frozen=True)
class Spoken:
    """A corpus: (id, speaker, label); of each speaker and class `takes` utterances, of a class `more` than before."""

    speakers: int = 6
    classes: Sequence[str] = CLASSES
    takes: int = 3
    more: int = 0

    @property
    def names(self) -> list[str]:
        return [f"s{i}" for i in range(self.speakers)]

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        classes = [(label, self.takes + i * self.more) for i, label in enumerate(self.classes)]
        return [(f"{s}_{c}_{take}", s, c) for s in self.names for c, takes in classes for take in range(takes)]

    def of(self, speakers: Sequence[str], part: str, logits: Mapping[str, Sequence[float]]) -> Predictions:
        """Rows of some speakers with the logits of each id."""
        found = [row for row in self.rows if row[1] in speakers]
        ids, names, labels = (list(column) for column in zip(*found, strict=True))
        drawn = np.array([logits[i] for i in ids], float)
        return Predictions(list(self.classes), ids, names, [part] * len(ids), labels, drawn)


def noisy(spoken: Spoken, seed: int, right: float) -> dict[str, NDArray[np.float64]]:
    """Logits by id: normal noise, and `right` more on the true class."""
    rng, classes = np.random.default_rng(seed), np.array(spoken.classes)
    return {i: rng.normal(size=len(classes)) + right * (classes == label) for i, _, label in spoken.rows}


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


def write_yaml(path: Path, config: Config) -> None:
    write_text(path, OmegaConf.to_yaml(OmegaConf.create(asdict(config))))


@dataclass(frozen=True)
class Maker:
    """Writes below `root`, in the folders' usual names: a network's, unless `learner` is classical."""

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
    given: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the configuration that are not those of `configuration(hidden)`."""

    @property
    def places(self) -> list[str]:
        return [f"{kind}_dir={self.root / kind}" for kind in ("runs", "crossval", "fusions")]

    @property
    def config(self) -> Config:
        return replace(configuration(self.hidden), **self.given)

    def run(
        self,
        name: str,
        logits: Mapping[str, Sequence[float]],
        fold: int = 0,
        seed: int = 0,
        last: bool = False,
        scored: bool = True,
    ) -> RunFolder:
        """Speaker `fold` tests, the next one validates; `last`: also the last epoch, whose logits are the negatives.

        With `scored=False` its test part was not looked at.
        """
        run, others = RunFolder(self.root / "runs" / name), self.spoken.names
        test, validation = others[fold], others[(fold + 1) % len(others)]
        wanted = {"validation": validation} | ({"test": test} if scored else {})
        found = {part: self.spoken.of([s], part, logits) for part, s in wanted.items()}
        write_yaml(run.config, replace(self.config, seed=seed, split=self.config.split | {"fold": fold}))
        utterances = [
            Utterance(i, Path(f"{i}.wav"), i + self.recorded, s, "", label, "", 1.0, 16000, 1)
            for i, s, label in self.spoken.rows
        ]
        parts = {u.id: {test: "test", validation: "validation"}.get(u.speaker, "train") for u in utterances}
        run.write_split(utterances, parts, prove(utterances, parts, speaker_dependent=False))
        rows = list(found.values())
        sum(rows[1:], start=rows[0]).write(run.predictions)
        if last:
            self.spoken.of([test], "test", {i: -np.array(z) for i, z in logits.items()}).write(run.last_epoch)
        facts = self._result(name) | FACTS[self.learner]
        write_json(run.result, facts | {part: rows.scores().as_dict() for part, rows in found.items()})
        return run

    def crossval(
        self,
        name: str,
        logits: Mapping[int, Mapping[str, Sequence[float]]],
        last: bool = False,
        missing: Mapping[Place, str] | None = None,
        kind: str = "crossval",
    ) -> Path:
        """Leave one speaker out; `logits` by seed. `missing`: why a place has no predictions."""
        gone, path = missing or {}, self.root / {"fusion": "fusions"}.get(kind, kind) / name
        every = [(fold, seed) for fold in range(self.spoken.speakers) for seed in logits]
        runs = {(f, s): self.run(run_id(name, (f, s)), logits[s], f, s, last) for f, s in every if (f, s) not in gone}
        tested = {place: Predictions.read(run.predictions).part("test") for place, run in runs.items()}
        pooled = Pooled.of((*place, rows) for place, rows in tested.items())
        pooled.write(path / "predictions.csv")
        if last:
            ends = Pooled.of((*place, Predictions.read(run.last_epoch)) for place, run in runs.items())
            ends.write(path / "predictions_last_epoch.csv")
        rows = [(*place, run_id(name, place), *state(gone.get(place))) for place in every]
        write_csv(path / "folds.csv", ("fold", "seed", "run", "state", "reason"), rows)
        write_json(path / "result.json", self._result(name) | self._pooled(pooled, every, gone, kind))
        return path

    def _pooled(self, pooled: Pooled, every: Sequence[Place], gone: Mapping[Place, str], kind: str) -> dict[str, Any]:
        incomplete = [f"incomplete: {len(gone)} of {len(every)} runs are missing"] if gone else []
        return {
            "kind": kind,
            "complete": not gone,
            "missing": [{"fold": fold, "seed": seed, "reason": "failed"} for fold, seed in gone],
            "labels": [*self.labels, *incomplete],
            "folds": self.spoken.speakers,
            "seeds": sorted({seed for _, seed in every}),
            "selected_by": selected_by(FACTS[self.learner]),
            "fitted_on": FACTS[self.learner]["fitted_on"],
            "figures": {CHOSEN: summarise(pooled)},
        }

    def _result(self, name: str) -> dict[str, Any]:
        return {
            "id": name,
            "result_version": RESULT_VERSION,
            "experiment": self.config.experiment,
            "labels": list(self.labels),
            "manifest": self.manifest,
            "classes": list(self.spoken.classes),
        }


def run_id(name: str, place: Place) -> str:
    return f"{name}-f{place[0]}s{place[1]}"


def state(missing: str | None) -> tuple[str, str]:
    return ("finished", "") if missing is None else ("failed", missing)


def change(path: Path, **fields: Any) -> None:
    """Other values for some fields of a JSON file."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | fields)


def history(epochs: int, classes: int, rng: np.random.Generator) -> Iterable[tuple[float, ...]]:
    """Rows of a training's metrics.csv, from chance up; see `HISTORY`."""
    chance = 1 / classes
    for epoch in range(epochs):
        learnt, noise = 1 - np.exp(-4 * (epoch + 1) / epochs), rng.normal(0, 0.03, 4)
        losses, uars = (1.1 - learnt, 1.1 - 0.6 * learnt), (chance + 0.6 * learnt, chance + 0.4 * learnt)
        measured = losses[0] + noise[0], min(uars[0] + noise[1], 1.0), losses[1] + noise[2], uars[1] + noise[3]
        yield epoch, 10 * (epoch + 1), 0.001, 0.5, *measured


HISTORY = ("epoch", "step", "learning_rate", "seconds", "train/loss", "train/uar", "validation/loss", "validation/uar")
