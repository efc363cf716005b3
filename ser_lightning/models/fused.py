"""The fused ensemble: MFCC-LSTM and DS-LSTM averaged at the logits."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.model import DSLSTM
from ser_lightning.models.ds_lstm.ways import Way
from ser_lightning.models.mfcc_lstm import MFCCLSTM
from ser_lightning.models.output import Output
from ser_lightning.models.stream import StreamShape


class Fused(nn.Module):
    """logits = p DS-LSTM + (1-p) MFCC-LSTM, each with a loss of its own.

    Source: arXiv 1910.08874, "M_LSTM + M_DS-LSTM". The branches share nothing and neither loss
    sees the other branch: an ensemble of two trained at once.

    Args:
        weight: p in 0..1, of the spectrogram branch, in the logits and in the loss.
        mfcc: name of the stream the MFCC branch reads.
        spectrograms: names of the two streams of the spectrogram branch, the one finer in time first.
        channels: channels of each convolution block; each block halves time and frequency.
        kernels: kernel size along frequency and along time for the first spectrogram; the second gets the
            same two sizes exchanged.
        hidden_dim: state size of each layer of the spectrogram branch.
        mfcc_hidden_dim: state size of each layer of the MFCC branch; null: as hidden_dim.
        num_layers: dual-sequence layers.
        mfcc_num_layers: LSTM layers of the MFCC branch; null: as num_layers.
        dropout: probability of zeroing an output between layers and before each classifier.
        gate_norm: post_sigmoid_bn normalises the gates as the authors' code does, which needs a fixed number
            of frames; none is the cell of their figure.
        out_norm: norm of each dual-sequence layer's outputs; bn is the authors'.
        alignment: paper takes the mean of 3 frames with stride 2 and needs hops of 1:2; time pools both
            onto one grid in seconds.
        recurrence: reference computes the plain equations; fused is the hand-written way of a CPU or of CUDA (Triton);
            auto takes fused where there is one, and the run says which.

    Raises:
        UserError: weight is not in 0..1, or as DSLSTM and MFCCLSTM.
    """

    def __init__(
        self,
        streams: Mapping[str, StreamShape],
        num_classes: int,
        *,
        weight: float = 0.5,
        mfcc: str = "mfcc",
        spectrograms: list[str] = ["fine", "coarse"],  # noqa: B006
        channels: list[int] = [16, 16],  # noqa: B006
        kernels: list[int] = [3, 3],  # noqa: B006
        hidden_dim: int = 64,
        mfcc_hidden_dim: int | None = None,
        num_layers: int = 1,
        mfcc_num_layers: int | None = None,
        dropout: float = 0.0,
        gate_norm: Literal["none", "post_sigmoid_bn"] = "none",
        out_norm: Literal["none", "bn", "layer"] = "layer",
        alignment: Literal["paper", "time"] = "time",
        recurrence: Literal["auto", "reference", "fused"] = "auto",
    ) -> None:
        super().__init__()
        if not 0 <= weight <= 1:
            raise UserError(f"model.weight is {weight}: it is the spectrogram branch's share, from 0 to 1")
        self.weight = weight
        self.spectral = DSLSTM(
            streams,
            num_classes,
            spectrograms=spectrograms,
            channels=channels,
            kernels=kernels,
            hidden_dim=hidden_dim,
            num_layers=num_layers,
            dropout=dropout,
            gate_norm=gate_norm,
            out_norm=out_norm,
            alignment=alignment,
            recurrence=recurrence,
        )
        self.cepstral = MFCCLSTM(
            streams,
            num_classes,
            stream=mfcc,
            hidden_dim=hidden_dim if mfcc_hidden_dim is None else mfcc_hidden_dim,
            num_layers=num_layers if mfcc_num_layers is None else mfcc_num_layers,
            dropout=dropout,
        )
        self.streams: tuple[str, ...] = self.spectral.streams + self.cepstral.streams

    def forward(self, features: dict[str, Tensor], lengths: dict[str, Tensor]) -> Output:
        """features (B, T, D) and lengths (B,) of each stream -> logits (B, K) and two heads."""
        spectral = self.spectral(features, lengths).logits
        cepstral = self.cepstral(features, lengths).logits
        logits = self.weight * spectral + (1 - self.weight) * cepstral
        return Output(logits, ((self.weight, spectral), (1 - self.weight, cepstral)))

    def recurrence_on(self, device: torch.device) -> Way:
        """As DSLSTM."""
        return self.spectral.recurrence_on(device)
