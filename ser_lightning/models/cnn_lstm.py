"""CNN-LSTM on one spectrogram or two: the baselines of Wang et al. 2020."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.blocks import Classifier, MaskedLSTM, masked_mean
from ser_lightning.models.frontend import FrontEnd, front_ends
from ser_lightning.models.output import Output, single
from ser_lightning.models.stream import StreamShape, pick


class Tower(nn.Module):
    """Front end, LSTM and mean over the utterance of one spectrogram.

    Args:
        front: the convolutional front end.
        hidden_dim: H, state size of each LSTM layer.
        num_layers: LSTM layers.
        dropout: probability of zeroing an output between layers.
    """

    def __init__(self, front: FrontEnd, hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.front = front
        self.lstm = MaskedLSTM(front.output.dim, hidden_dim, num_layers, dropout)

    def forward(self, spectrogram: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, F), lengths (B,) -> (B, H)."""
        sequence, lengths = self.front(spectrogram, lengths)
        return masked_mean(self.lstm(sequence, lengths), lengths)


class CNNLSTM(nn.Module):
    """One CNN-LSTM tower a spectrogram, their means side by side, linear (arXiv 1910.08874, "M_CNN+LSTM").

    Args:
        spectrograms: names of one or two streams.
        channels: channels of each convolution block; each block halves time and frequency.
        kernels: kernel size along frequency and along time for the first spectrogram; the second gets the
            same two sizes exchanged.
        hidden_dim: state size of each LSTM layer.
        num_layers: LSTM layers of each tower.
        dropout: probability of zeroing an output between LSTM layers and before the classifier.

    Raises:
        UserError: other than one or two spectrograms, no such stream, or wrong sizes of the front end.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamShape],
        num_classes: int,
        *,
        spectrograms: list[str] = ["fine", "coarse"],  # noqa: B006
        channels: list[int] = [16, 16],  # noqa: B006
        kernels: list[int] = [3, 3],  # noqa: B006
        hidden_dim: int = 64,
        num_layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(spectrograms) not in (1, 2):
            raise UserError(f"model.spectrograms is {spectrograms}: cnn_lstm takes one or two names")
        self.streams: tuple[str, ...] = tuple(spectrograms)
        fronts = front_ends(pick(streams, spectrograms), channels, kernels)
        self.towers = nn.ModuleList(Tower(front, hidden_dim, num_layers, dropout) for front in fronts)
        self.dropout = nn.Dropout(dropout)
        self.classifier = Classifier(hidden_dim * len(spectrograms), num_classes)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """features (B, T, F) and lengths (B,) of each stream -> logits (B, K)."""
        named = zip(self.streams, self.towers, strict=True)
        means = [tower(features[name], lengths[name]) for name, tower in named]
        return single(self.classifier(self.dropout(torch.cat(means, 1))))
