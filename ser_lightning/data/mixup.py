"""Mixup (Zhang et al., ICLR 2018) for utterances of different lengths."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixup:
    """Each utterance of a batch mixed with another of it: share * own + (1 - share) * partner's.

    One `share` serves a batch, as in the authors' code, with the larger part an utterance's own: partners are drawn
    at random, so that which of two is called the partner changes nothing, and a score counts the label that
    weighs more. `partners` (B,) are row numbers within the batch.
    """

    share: float
    partners: Tensor

    @classmethod
    def draw(cls, utterances: int, alpha: float) -> "Mixup":
        """The share is of Beta(alpha, alpha), folded to 0.5 and above."""
        share = torch.distributions.Beta(alpha, alpha).sample().item()
        return cls(max(share, 1 - share), torch.randperm(utterances))

    def apply(
        self, features: Mapping[str, Tensor], lengths: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Normalised streams (B, T, D) and lengths (B,) of the mixtures: as long as the longer of the two.

        Where only one of them still speaks the other counts as 0, its mean.
        """
        mixed = {name: self.share * x + (1 - self.share) * x[self._on(x)] for name, x in features.items()}
        return mixed, {name: torch.maximum(n, n[self._on(n)]) for name, n in lengths.items()}

    def loss(self, of: Callable[[Tensor], Tensor], labels: Tensor) -> Tensor:
        """The loss `of` both labels (B,), weighed as their utterances are."""
        return self.share * of(labels) + (1 - self.share) * of(labels[self._on(labels)])

    def _on(self, x: Tensor) -> Tensor:
        return self.partners.to(x.device)
