"""DS-LSTM: the dual-sequence LSTM on two spectrograms of one utterance."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.blocks import Classifier, masked_mean
from ser_lightning.models.ds_lstm.align import PaperAlignment, TimeAlignment
from ser_lightning.models.ds_lstm.cell import DualSequenceLSTM
from ser_lightning.models.ds_lstm.ways import RecurrenceName, Way, way
from ser_lightning.models.frontend import front_ends
from ser_lightning.models.output import Output, single
from ser_lightning.models.stream import StreamShape, pick

ALIGNMENTS: dict[str, type[PaperAlignment | TimeAlignment]] = {"paper": PaperAlignment, "time": TimeAlignment}


class DSLSTM(nn.Module):
    """Two front ends, alignment, dual-sequence LSTM, mean, linear (arXiv 1910.08874, "M_DS-LSTM").

    Args:
        spectrograms: names of two streams, the one finer in time first.
        channels: channels of each convolution block; each block halves time and frequency.
        kernels: kernel size along frequency and along time for the first spectrogram; the second gets the
            same two sizes exchanged.
        hidden_dim: state size of each layer.
        num_layers: dual-sequence layers; each reads the one below and the second spectrogram again.
        dropout: probability of zeroing an output between the layers and before the classifier.
        gate_norm: post_sigmoid_bn normalises the gates as the authors' code does, which needs a fixed number
            of frames; none is the cell of their figure.
        out_norm: norm of each layer's outputs; bn is the authors'.
        alignment: paper takes the mean of 3 frames with stride 2 and needs hops of 1:2; time pools both
            onto one grid in seconds.
        recurrence: reference computes the plain equations; fused is the hand-written way of a CPU or of CUDA (Triton);
            auto takes fused where there is one, and the run says which.

    Raises:
        UserError: not two spectrograms, no such stream, the coarser first, or sizes, norms or hops that do
            not go together.
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
        gate_norm: Literal["none", "post_sigmoid_bn"] = "none",
        out_norm: Literal["none", "bn", "layer"] = "layer",
        alignment: Literal["paper", "time"] = "time",
        recurrence: Literal["auto", "reference", "fused"] = "auto",
    ) -> None:
        super().__init__()
        self.streams: tuple[str, ...] = tuple(spectrograms)
        shapes = _finer_first(streams, spectrograms)
        self.front_x, self.front_y = front_ends(shapes, channels, kernels)
        align = ALIGNMENTS[alignment](self.front_x.output, self.front_y.output)
        self.align = align
        self.lstm = DualSequenceLSTM(
            self.front_x.output.dim,
            self.front_y.output.dim,
            hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            gate_norm=gate_norm,
            out_norm=out_norm,
            steps=align.frames,
            recurrence=recurrence,
        )
        self.recurrence: RecurrenceName = recurrence
        self.gate_norm = gate_norm != "none"
        self.dropout = nn.Dropout(dropout)
        self.classifier = Classifier(hidden_dim, num_classes)

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """features (B, T, F) and lengths (B,) of each stream -> logits (B, K)."""
        first, second = self.streams
        x, x_lengths = self.front_x(features[first], lengths[first])
        y, y_lengths = self.front_y(features[second], lengths[second])
        x, y, common = self.align(x, y, x_lengths, y_lengths)
        pooled = masked_mean(self.lstm(x, y, common), common)
        return single(self.classifier(self.dropout(pooled)))

    def recurrence_on(self, device: torch.device) -> Way:
        """What computes the recurrence on this device, for people to be told.

        Raises:
            UserError: the one that model.recurrence names can't be had there.
        """
        return way(self.recurrence, device, self.gate_norm)


def _finer_first(streams: Mapping[str, StreamShape], names: list[str]) -> list[StreamShape]:
    if len(names) != 2:
        raise UserError(f"model.spectrograms is {names}: a dual-sequence LSTM takes exactly two names")
    shapes = pick(streams, names)
    if shapes[0].hop > shapes[1].hop:
        raise UserError(
            f"model.spectrograms is {names}, hops of {shapes[0].hop:g} s and {shapes[1].hop:g} s: "
            f"the one finer in time comes first, write [{names[1]}, {names[0]}]"
        )
    return shapes
