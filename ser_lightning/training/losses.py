"""Losses over the logits of one head: a mean over utterances, in which each weighs as much as its class.

With class weights w the mean is sum(w_y * loss) / sum(w_y) over the batch, and label smoothing of s turns a label into
the target (1 - s) * onehot + s / K whose every term is weighted by its own class: both as in torch's cross_entropy.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from ser_lightning.errors import ConfigError


class Loss(Protocol):
    """Built from its configuration alone: a dataclass, or an nn.Module, whose own parameters are trained too."""

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
        """float32 logits (B, K), labels (B,), class weights (K,) or None, share of smoothing -> a scalar."""


@dataclass(frozen=True)
class CrossEntropy:
    """-log p, p the softmax of the label's logit."""

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=label_smoothing)


@dataclass(frozen=True)
class Focal:
    """-(1 - p)^gamma log p (Lin et al., ICCV 2017, eq. 4); their alpha is `training.class_weights`.

    Raises:
        ConfigError: gamma below 0 (at construction).
    """

    gamma: float = 2.0
    """How much less well-classified utterances count; 0 is cross-entropy."""

    def __post_init__(self) -> None:
        if not self.gamma >= 0:
            raise ConfigError(f"training.loss.gamma={self.gamma}: must be 0 or more")

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
        classes = logits.shape[1]
        log_p = logits.log_softmax(1)
        # Not 0, where the power has no gradient for a gamma below 1.
        missed = (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).eps)
        targets = F.one_hot(labels, classes) * (1 - label_smoothing) + label_smoothing / classes
        terms = -targets * missed**self.gamma * log_p
        if weights is None:
            return terms.sum(1).mean()
        return (weights * terms).sum() / weights[labels].sum()
