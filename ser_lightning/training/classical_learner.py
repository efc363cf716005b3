"""The learner that fits a support vector machine with scikit-learn, its cost chosen by inner folds over speakers."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.loggers import Logger
from numpy.typing import NDArray

from ser_lightning.config.components import build
from ser_lightning.config.schema import Config, Training
from ser_lightning.data.datamodule import PartRows, SERData
from ser_lightning.data.proof import Proof
from ser_lightning.data.splits import Part
from ser_lightning.errors import UserError
from ser_lightning.evaluation.summary import DECISION_VALUES
from ser_lightning.files import read_json, write_json
from ser_lightning.models.linear_svm import LinearSVM
from ser_lightning.models.pairwise_svm import PairwiseSVM
from ser_lightning.models.stream import StreamShape
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.training.inner_folds import Examples, choose_cost, folds_of
from ser_lightning.training.learner import Fit

FITS: Mapping[str, tuple[Part, ...]] = {"train": ("train",), "train_validation": ("train", "validation")}
"""The two fits by name, and the parts each is made of: only the first has not seen the validation part."""

USED = ("learner", "waveform", "accelerator", "precision", "keep_on_device", "num_workers")
"""Settings under `training` that mean something here."""


class ClassicalLearner:
    """Fits twice: on train, to predict validation unseen; and on train and validation, to predict test.

    For each the cost C is chosen by inner folds over the speakers it is fitted on, so that the validation part needs to
    choose nothing and its speakers may train what meets the test part.
    """

    has_epochs: ClassVar[bool] = False
    """A learner that doesn't say has them."""

    def __init__(self, config: Config, shapes: Mapping[str, StreamShape], classes: Sequence[str]) -> None:
        model = build("model", config.model, shapes, len(classes))
        if not isinstance(model, LinearSVM):
            raise UserError(
                f"training.learner=classical fits model=linear_svm, not `{config.model['name']}`: choose that, or "
                "another training"
            )
        self.model, self.classes = model, list(classes)
        self.streams: tuple[str, ...] = model.streams
        self._fitted: dict[str, PairwiseSVM] = {}
        _check_training(config.training)
        _check_also(config.tracking.also)
        _check_normalise(self.streams[0], config.features[self.streams[0]]["normalise"])

    @staticmethod
    def check_split(config: Config, proof: Proof) -> None:
        """Raises UserError: the inner folds can't be had of this split's speakers."""
        copies = {"train": 1 + config.training.waveform.copies}
        for parts in FITS.values():
            speakers = {who for part in parts for who in proof.speakers[part]}
            counts: Counter[str] = Counter()
            for part in parts:
                counts.update({label: n * copies.get(part, 1) for label, n in proof.classes[part].items()})
            folds_of(config.model.get("inner_folds"), len(speakers), max(counts.values()))

    @property
    def parameters(self) -> int:
        return self.model.parameters

    def described(self, device: torch.device) -> str:
        return f"{self.parameters:,} parameters"

    def fit(self, data: SERData, folder: Path, logger: Logger | None, stop: StopRequest) -> Fit:
        """Leaves `folder/NAME.npz` and `NAME.json` of each fit; one that is there is not made again."""
        with on_signals(stop):
            found = {name: self._fit(name, data, folder, stop) for name in FITS}
        self.load(folder)
        facts = {
            "parameters": self.model.parameters,
            "cost": {name: fit["cost"] for name, fit in found.items()},
            "inner_uar": {name: fit["inner_uar"] for name, fit in found.items()},
            "seconds": sum(fit["seconds"] for fit in found.values()),
            "fitted_on": list(FITS["train_validation"]),
            "outputs": DECISION_VALUES,
            "inner_folds": {name: fit["inner_folds"] for name, fit in found.items()},
            "selected_by": f"mean UAR of {_numbers(found)} inner folds over speakers",
        }
        return Fit(facts)

    def _fit(self, name: str, data: SERData, folder: Path, stop: StopRequest) -> dict[str, Any]:
        record = folder / f"{name}.json"
        if not record.exists():
            start, examples = time.monotonic(), self._examples(data, FITS[name])
            chosen = choose_cost(self.model, examples, stop, f"choosing C on {' and '.join(FITS[name])}")
            self.model.fit(examples.vectors, examples.labels, chosen.cost).write(folder / f"{name}.npz")
            told = {"cost": chosen.cost, "inner_uar": chosen.uars, "inner_folds": chosen.folds}
            write_json(record, told | {"seconds": time.monotonic() - start})
        found: dict[str, Any] = read_json(record)
        return found

    def load(self, folder: Path, state: str = "best") -> None:
        """Take both fits; there is no other state. Raises UserError: one isn't there, or is broken."""
        if state != "best":
            raise UserError(f"training.learner=classical has no epochs and keeps no state `{state}`")
        self._fitted = {name: PairwiseSVM.read(folder / f"{name}.npz") for name in FITS}

    def others(self, folder: Path) -> list[str]:
        """None: without epochs there is nothing beside what was chosen."""
        return []

    def predict(self, data: SERData, part: Part) -> NDArray[np.float64]:
        """Decision values (N, K) of a part's rows in their order; of `test` from both parts, of others from train."""
        return self._fitted["train_validation" if part == "test" else "train"].logits(self._vectors(data, part))

    def _examples(self, data: SERData, parts: Sequence[Part]) -> Examples:
        vectors = np.concatenate([self._vectors(data, part) for part in parts])
        labels = np.concatenate([data.parts[part].labels for part in parts])
        if missing := [name for number, name in enumerate(self.classes) if number not in labels]:
            raise UserError(
                f"class `{missing[0]}` has no utterance in {' or '.join(parts)}, so nothing can be learnt of it: "
                "choose another split, or leave it out with corpus.classes=[...]"
            )
        return Examples(vectors, labels, [who for part in parts for who in _speakers(data.parts[part])])

    def _vectors(self, data: SERData, part: Part) -> NDArray[np.float64]:
        """(N, D)"""
        rows = torch.arange(len(data.parts[part].ids))
        frames, _ = data.part(part).sources[self.streams[0]].take(rows)
        return frames[:, 0].double().cpu().numpy()


def _speakers(rows: PartRows) -> list[str]:
    """Who speaks, row by row: a variant, whose row names a speaker of its own, is its recording's speaker's."""
    of = {digest: who for digest, who, v in zip(rows.digests, rows.speakers, rows.variants, strict=True) if v == 0}
    return [of[digest] for digest in rows.digests]


def _check_training(training: Training) -> None:
    """Raises UserError: settings ask for what isn't done here; all of them are named."""
    given, default = asdict(training), asdict(Training())
    if other := [key for key in given if key not in USED and given[key] != default[key]]:
        raise UserError(
            f"{_words(given, other, ', ')}: training.learner=classical has no use for {'them' if other[1:] else 'it'}; "
            f"set {_words(default, other, ' ')}"
        )


def _check_also(names: Sequence[str]) -> None:
    """Raises UserError: loggers of epochs are asked for."""
    if names:
        raise UserError(
            f"tracking.also=[{','.join(names)}]: training.learner=classical has no epochs to log there; set "
            "tracking.also=[]"
        )


def _numbers(fits: Mapping[str, Mapping[str, Any]]) -> str:
    """Of inner folds, over all fits."""
    return " and ".join(map(str, sorted({fit["inner_folds"] for fit in fits.values()})))


def _words(values: Mapping[str, Any], keys: Sequence[str], between: str) -> str:
    return between.join(f"training.{key}={json.dumps(values[key])}" for key in keys)


def _check_normalise(stream: str, mode: str) -> None:
    """Raises UserError: the stream would be normalised twice, or to nothing."""
    if mode not in ("none", "speaker"):
        raise UserError(
            f"features.{stream}.normalise={mode}: linear_svm standardises by the speakers it is fitted on; set "
            f"features.{stream}.normalise=none (or speaker, which makes every result transductive)"
        )
