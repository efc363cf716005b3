"""Blocks shared by models; padded frames never touch what they return for the frames before them."""

import torch
from torch import Tensor, nn

from ser_lightning.models.lstm import LSTM
from ser_lightning.models.synchronise import over_ranks, synchronised


def length_mask(lengths: Tensor, frames: int) -> Tensor:
    """True where a frame belongs to the utterance: lengths (B,) -> (B, frames), bool."""
    return torch.arange(frames, device=lengths.device) < lengths[:, None]


def masked_mean(sequence: Tensor, lengths: Tensor) -> Tensor:
    """Mean over the first `lengths` frames: (B, T, D), (B,) -> (B, D)."""
    mask = length_mask(lengths, sequence.shape[1])[..., None]
    return (sequence * mask).sum(1) / lengths[:, None]


def masked_batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor, mask: Tensor | None) -> Tensor:
    """Batch norm whose statistics in training come from valid positions alone (Ioffe & Szegedy 2015, eq. 3).

    Padding would pull mean and variance towards it, by an amount that depends on how a batch was put
    together. In evaluation, and without a mask, this is `norm(x)`. Statistics are this process's own, or all ranks'
    where `norm` is marked so (`models/synchronise.py`).

    Args:
        norm: holds scale, shift and running statistics.
        x: (B, C, ...) float.
        mask: 1 where valid, broadcastable to x with one channel: (B, 1, ...); None: all of x is valid.

    Returns:
        The shape of x; positions that are not valid hold the shift and are for the caller to blank.
    """
    if not norm.training or (mask is None and not synchronised(norm)):
        normalised: Tensor = norm(x)
        return normalised
    axes = [axis for axis in range(x.dim()) if axis != 1]
    valid = x.new_ones((), dtype=norm.weight.dtype) if mask is None else mask.to(norm.weight.dtype)
    count = over_ranks(norm, valid.sum() * (x[:, :1].numel() // valid.numel()))
    mean = over_ranks(norm, (x * valid).sum(axes, keepdim=True)) / count
    centred = (x - mean) * valid
    variance = over_ranks(norm, centred.square().sum(axes, keepdim=True)) / count
    track(norm, mean.flatten(), (variance * count / (count - 1).clamp(min=1)).flatten())
    channels = mean.shape
    scale = norm.weight.view(channels) * torch.rsqrt(variance + norm.eps)
    return torch.addcmul(norm.bias.view(channels), centred, scale)


@torch.no_grad()
def track(norm: nn.BatchNorm1d | nn.BatchNorm2d, mean: Tensor, unbiased_variance: Tensor) -> None:
    """Move the running statistics towards a batch's mean and variance, (C,) each, as `norm` itself would."""
    assert norm.running_mean is not None and norm.running_var is not None and norm.momentum is not None
    assert norm.num_batches_tracked is not None
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(unbiased_variance, norm.momentum)
    norm.num_batches_tracked += 1


class Classifier(nn.Linear):
    """(B, D) -> logits (B, K) in float32, under autocast too: bfloat16's 8 bits make ties of close classes."""

    def forward(self, pooled: Tensor) -> Tensor:
        with torch.autocast(pooled.device.type, enabled=False):
            return super().forward(pooled.to(self.weight.dtype))


class MaskedLSTM(nn.Module):
    """Unidirectional LSTM over padded utterances.

    It runs over the padding, which comes after all it could spoil, and blanks those outputs: the same numbers
    as a packed sequence without the copy of lengths to the host that packing needs.

    Args:
        input_dim: D, values a frame.
        hidden_dim: H.
        num_layers: layers, each reading the one below.
        dropout: probability of zeroing an output between layers.
    """

    def __init__(self, input_dim: int, hidden_dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        between = dropout if num_layers > 1 else 0.0
        self.lstm = LSTM(input_dim, hidden_dim, num_layers, batch_first=True, dropout=between)

    def forward(self, sequence: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, D), lengths (B,) -> (B, T, H), zeros past an utterance's length."""
        output, _ = self.lstm(sequence)
        masked: Tensor = output * length_mask(lengths, output.shape[1])[..., None]
        return masked
