"""Which runs a cross-validation consists of: every fold with every seed, each split proven before any run begins."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ser_lightning.config.components import load, target
from ser_lightning.config.schema import Config
from ser_lightning.crossval.settings import Settings
from ser_lightning.data.proof import LeakError, Proof
from ser_lightning.data.splits import fold_numbers
from ser_lightning.errors import UserError
from ser_lightning.runs.prepare import Prepared, check_split


@dataclass(frozen=True)
class Task:
    """One run: a fold and a seed."""

    fold: int
    seed: int
    prepared: Prepared
    proof: Proof

    @property
    def run(self) -> str:
        return self.prepared.run_id


@dataclass(frozen=True)
class Plan:
    """All runs of one cross-validation; `id` says the same of every start of it."""

    base: Prepared
    tasks: Sequence[Task]

    @property
    def id(self) -> str:
        runs = json.dumps([(task.fold, task.seed, task.run) for task in self.tasks])
        config = self.base.config
        name = "-".join(part["name"] for part in (config.corpus, config.model, config.split))
        return f"{name}-{hashlib.sha256(runs.encode()).hexdigest()[:12]}"

    @property
    def labels(self) -> list[str]:
        """What the pooled figures have to be read with; of single folds' labels, only what marks the protocol."""
        proof = self.tasks[0].proof
        return [mark for mark in ("speaker_dependent", "transductive") if getattr(proof, mark)]


def plan(base: Prepared, settings: Settings) -> Plan:
    """Every fold and seed.

    Raises:
        UserError: one fold was asked for, there are no seeds, or epochs are to be selected where there are none.
        LeakError: a fold's parts share what they must not; the fold is named, as it is where a part can't be made.
    """
    config = base.config
    if config.split.get("fold", 0):
        raise UserError(
            f"split.fold={config.split['fold']}: a cross-validation runs every fold; leave split.fold out, or use "
            "`ser train` for one fold"
        )
    if settings.seeds < 1:
        raise UserError(f"seeds={settings.seeds}: must be at least 1")
    if settings.selected_on_test and not _has_epochs(config.training.learner):
        raise UserError(
            f"selected_on_test: training.learner={config.training.learner} has no epochs to select; leave it out"
        )
    proofs = {fold: _proof(base, fold) for fold in fold_numbers(base.splitter, base.corpus.utterances)}
    seeds = range(config.seed, config.seed + settings.seeds)
    tasks = [
        Task(fold, seed, _one(base, settings, fold, seed), proof) for seed in seeds for fold, proof in proofs.items()
    ]
    return Plan(base, tasks)


def _has_epochs(learner: str) -> bool:
    return bool(getattr(load(target("learner", learner)), "has_epochs", True))


def _proof(base: Prepared, fold: int) -> Proof:
    prepared = replace(base, config=_at(base.config, fold))
    try:
        proof = prepared.split()[1]
        check_split(prepared, proof)
    except LeakError as error:
        raise LeakError(f"fold {fold}: {error}") from error
    except UserError as error:
        raise UserError(f"fold {fold}: {error}") from error
    return proof


def _one(base: Prepared, settings: Settings, fold: int, seed: int) -> Prepared:
    config = _at(base.config, fold)
    training = replace(config.training, keep_epochs=config.training.keep_epochs or settings.selected_on_test)
    return replace(base, config=replace(config, seed=seed, training=training))


def _at(config: Config, fold: int) -> Config:
    split: dict[str, Any] = config.split | ({"fold": fold} if "fold" in config.split else {})
    return replace(config, split=split)
