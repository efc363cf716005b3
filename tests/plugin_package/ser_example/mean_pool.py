"""The smallest model: the mean of the frames, then a linear layer."""

from collections.abc import Mapping

from torch import Tensor, nn

from ser_lightning.models.blocks import Classifier, masked_mean
from ser_lightning.models.output import Output, single
from ser_lightning.models.stream import StreamShape, pick


class MeanPool(nn.Module):
    """Frames -> mean over the utterance -> linear.

    Args:
        stream: name of the stream it reads.
        dropout: probability of zeroing a mean.
    """

    def __init__(
        self, streams: Mapping[str, StreamShape], num_classes: int, *, stream: str = "mfcc", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.streams: tuple[str, ...] = (stream,)
        (shape,) = pick(streams, self.streams)
        self.dropout = nn.Dropout(dropout)
        self.classifier = Classifier(shape.dim, num_classes)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """features (B, T, D) and lengths (B,) of each stream -> logits (B, K)."""
        (name,) = self.streams
        return single(self.classifier(self.dropout(masked_mean(features[name], lengths[name]))))
