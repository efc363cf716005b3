"""The multi-class hinge loss of Weston and Watkins (ESANN 1999)."""

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ser_lightning.errors import UserError


@dataclass(frozen=True)
class Hinge:
    """Sum over the other classes of max(0, margin - logit of the label + logit of the other), divided by K.

    Raises:
        UserError: training.label_smoothing is not 0.
    """

    margin: float = 1.0
    """How far the label's logit must lead."""

    def __call__(self, logits: Tensor, labels: Tensor, weights: Tensor | None, label_smoothing: float) -> Tensor:
        if label_smoothing:
            raise UserError("hinge has no label smoothing: set training.label_smoothing=0")
        return F.multi_margin_loss(logits, labels, margin=self.margin, weight=weights)
