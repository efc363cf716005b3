"""What every model returns."""

from typing import NamedTuple

from torch import Tensor


class Output(NamedTuple):
    """The logits to predict from and the weighted heads to train on.

    The training loss is the sum over heads of weight x cross-entropy(head's logits, label), so that branches
    of an ensemble can each have a loss of their own (DS-LSTM, "outputs are later averaged").
    """

    logits: Tensor
    """(B, K)"""

    heads: tuple[tuple[float, Tensor], ...]
    """(weight, logits (B, K)) pairs."""


def single(logits: Tensor) -> Output:
    """The output of a model with one head: logits (B, K) are both predicted from and trained on."""
    return Output(logits, ((1.0, logits),))
