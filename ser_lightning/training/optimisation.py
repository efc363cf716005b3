"""Optimiser, learning-rate schedule and class weights from the configuration."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, MultiStepLR

from ser_lightning.config.schema import Training


def optimizer(parameters: Iterable[nn.Parameter], settings: Training, ranks: int = 1) -> Optimizer:
    """`ranks` processes share a step; `scale_learning_rate` says what that does to its size."""
    factor = {"none": 1.0, "sqrt": ranks**0.5, "linear": float(ranks)}[settings.scale_learning_rate]
    rate, decay = factor * settings.learning_rate, settings.weight_decay
    if settings.optimizer == "sgd":
        return SGD(parameters, lr=rate, weight_decay=decay, momentum=0.9)
    adam: type[Adam] = {"adam": Adam, "adamw": AdamW}[settings.optimizer]
    return adam(parameters, lr=rate, weight_decay=decay)


def schedule(over: Optimizer, settings: Training) -> LRScheduler | None:
    """Stepped once an epoch."""
    if settings.schedule == "cosine":
        return CosineAnnealingLR(over, T_max=settings.max_epochs)
    if settings.schedule == "steps":
        return MultiStepLR(over, milestones=settings.milestones, gamma=settings.gamma)
    return None


def class_weights(labels: Sequence[int], classes: int, settings: Training) -> Tensor | None:
    """(K,) weights N / (K * count) of the training labels, or None for equal weights."""
    if settings.class_weights == "none":
        return None
    counts = torch.bincount(torch.tensor(labels), minlength=classes)
    return len(labels) / (classes * counts)
