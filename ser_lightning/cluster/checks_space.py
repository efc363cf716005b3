"""The largest configuration that is to be trained."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ser_lightning.cluster.checks import Work
from ser_lightning.cluster.checks_data import frames
from ser_lightning.config.schema import Config
from ser_lightning.data.batching import Batch
from ser_lightning.runs.prepare import Prepared, make_learner
from ser_lightning.sweeps.corners import corners
from ser_lightning.sweeps.frozen import Frozen
from ser_lightning.training.lightning_learner import LightningLearner

ROWS = 2
"""Utterances that are tried: batch norms need two."""
STATE = 16
"""Bytes a weight in training: itself, its gradient, Adam's two moments."""


def trial_configs(work: Work) -> list[Config]:
    """Configurations of trials in which every choice and every end of a range occurs; or the only one."""
    if work.sweep is None:
        return [work.config]
    return [work.sweep.config(values, 0) for values in corners(work.sweep.searched)]


def largest(work: Work, prepared: Prepared) -> Config:
    """The configuration whose training holds the most memory.

    From the corner of the space that is largest, each parameter in turn takes the value with which it is largest.
    """
    if work.sweep is None:
        return work.config
    weigh = _Scales(work.sweep, prepared)
    space = work.sweep.searched
    best = max(corners(space), key=weigh)
    for p in space.searched.values():
        if p.key in best:
            best = max((space.walk(best | {p.key: value}) for value in p.corners), key=weigh)
    return work.sweep.config(best, 0)


class _Scales:
    """Weighs a trial's values; what differs in nothing that takes memory is weighed once."""

    def __init__(self, frozen: Frozen, prepared: Prepared) -> None:
        self._frozen, self._prepared, self._known = frozen, prepared, dict[str, float]()

    def __call__(self, values: Mapping[str, Any]) -> float:
        config = self._frozen.config(values, 0)
        training = config.training
        parts = (config.model, config.features, training.batch_size, training.learner, training.precision)
        key = json.dumps(parts, sort_keys=True)
        if key not in self._known:
            self._known[key] = footprint(replace(self._prepared, config=config))
        return self._known[key]


def footprint(prepared: Prepared) -> float:
    """Bytes that a training step holds, in proportion: weights with their state, and what backward needs.

    Counted on `ROWS` utterances as long as the longest, without computing gradients.
    """
    learner = make_learner(prepared)
    if not isinstance(learner, LightningLearner):
        return float(STATE * learner.parameters)
    module, batch = learner.module.train(), _batch(prepared, learner)
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = module.loss(module(batch), batch.labels)
    del loss  # only now: as long as it lives no address above is used again
    return STATE * learner.parameters + sum(saved.values()) / ROWS * prepared.config.training.batch_size


def _batch(prepared: Prepared, learner: LightningLearner) -> Batch:
    seconds = max(u.seconds for u in prepared.corpus.utterances)
    lengths = {
        name: prepared.config.features[name]["frames"] or frames(prepared.extractors[name], seconds)
        for name in learner.streams
    }
    return Batch(
        {name: torch.randn(ROWS, length, prepared.extractors[name].dim) for name, length in lengths.items()},
        {name: torch.full((ROWS,), length) for name, length in lengths.items()},
        torch.zeros(ROWS, dtype=torch.long),
        torch.arange(ROWS),
    )
