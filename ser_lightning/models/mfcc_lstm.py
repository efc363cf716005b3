"""MFCC-LSTM: the acoustic branch of Wang et al. 2020 ("M_LSTM")."""

from collections.abc import Mapping

from torch import Tensor, nn

from ser_lightning.models.blocks import Classifier, MaskedLSTM, masked_mean
from ser_lightning.models.output import Output, single
from ser_lightning.models.stream import StreamShape, pick


class MFCCLSTM(nn.Module):
    """Frames -> LSTM -> mean over the utterance -> linear (arXiv 1910.08874, "M_LSTM").

    Args:
        stream: name of the stream it reads.
        hidden_dim: state size of each LSTM layer.
        num_layers: LSTM layers.
        dropout: probability of zeroing an output between the layers and before the classifier.

    Raises:
        UserError: there is no such stream.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamShape],
        num_classes: int,
        *,
        stream: str = "mfcc",
        hidden_dim: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.streams: tuple[str, ...] = (stream,)
        (shape,) = pick(streams, self.streams)
        self.lstm = MaskedLSTM(shape.dim, hidden_dim, num_layers, dropout)
        self.dropout = nn.Dropout(dropout)
        self.classifier = Classifier(hidden_dim, num_classes)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """features (B, T, D) and lengths (B,) of each stream -> logits (B, K)."""
        (name,) = self.streams
        frames = self.lstm(features[name], lengths[name])
        return single(self.classifier(self.dropout(masked_mean(frames, lengths[name]))))
