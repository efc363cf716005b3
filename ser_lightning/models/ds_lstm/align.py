"""Bringing two sequences of different time resolution to common steps."""

from fractions import Fraction

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.stream import StreamShape

Aligned = tuple[Tensor, Tensor, Tensor]


class PaperAlignment(nn.Module):
    """Mean of three frames, stride two, on x; nothing on y; both cut to one length (arXiv 1910.08874).

    T = min(floor(T_x / 2) - 1, T_y), and at least 1: the missing frames of a shorter x count as zeros. The
    end of y is dropped, as published. Attribute `frames` is T where time is fixed, else None.

    Args:
        x: the sequence finer in time.
        y: the sequence coarser in time.

    Raises:
        UserError: y's hop is not twice x's, or only one of the two has a fixed number of frames.
    """

    def __init__(self, x: StreamShape, y: StreamShape) -> None:
        super().__init__()
        ratio = _hop_ratio(x, y)
        if ratio != Fraction(1, 2):
            raise UserError(
                f"model.alignment=paper needs a second spectrogram of twice the first one's hop, not of "
                f"{float(1 / ratio):.4g} times; use model.alignment=time, or features of hops 1:2"
            )
        fixed = _fixed_frames(x, y)
        self.frames = None if fixed is None else self._steps(*fixed)

    def forward(self, x: Tensor, y: Tensor, x_lengths: Tensor, y_lengths: Tensor) -> Aligned:
        """x (B, T_x, Dx), y (B, T_y, Dy), lengths (B,) -> x (B, T, Dx), y (B, T, Dy), lengths (B,)."""
        steps = self._steps(x.shape[1], y.shape[1])
        padded = functional.pad(x.transpose(1, 2), (0, 2))
        x = functional.avg_pool1d(padded, 3, 2)[..., :steps].transpose(1, 2)
        lengths = torch.minimum(x_lengths // 2 - 1, y_lengths).clamp(min=1)
        return x, y[:, :steps], lengths

    @staticmethod
    def _steps(x_frames: int, y_frames: int) -> int:
        return max(1, min(x_frames // 2 - 1, y_frames))


class TimeAlignment(nn.Module):
    """Both sequences as overlap-weighted means on one grid of the coarser one's step.

    Frame j of a sequence of step s covers the time [j s, (j+1) s); each cell of the grid takes the mean of
    the frames over it, weighted by how long each covers it. The grid reaches to the end of the longer
    sequence, and the last frame of the shorter one is held until there, so no frame is dropped and no cell
    is without either sequence. Steps are the hops where lengths vary; where the number of frames is fixed
    each sequence spans the whole utterance. Attribute `frames`: cells where time is fixed, else None.

    Args:
        x: one sequence.
        y: the other.

    Raises:
        UserError: only one of the two has a fixed number of frames.
    """

    def __init__(self, x: StreamShape, y: StreamShape) -> None:
        super().__init__()
        fixed = _fixed_frames(x, y)
        ratio = _hop_ratio(x, y) if fixed is None else Fraction(fixed[1], fixed[0])
        # whole numbers, so that a cell's edge which falls on a frame's edge does so exactly
        self.x_step, self.y_step = ratio.numerator, ratio.denominator
        self.cell = max(self.x_step, self.y_step)
        self.frames = None if fixed is None else self._cells(*fixed)

    def forward(self, x: Tensor, y: Tensor, x_lengths: Tensor, y_lengths: Tensor) -> Aligned:
        """x (B, T_x, Dx), y (B, T_y, Dy), lengths (B,) -> x (B, T, Dx), y (B, T, Dy), lengths (B,)."""
        total = self._cells(x.shape[1], y.shape[1])
        covered = torch.maximum(x_lengths * self.x_step, y_lengths * self.y_step)
        lengths = (covered + self.cell - 1) // self.cell
        x_weights = self._weights(x, x_lengths, self.x_step, lengths, total)
        y_weights = self._weights(y, y_lengths, self.y_step, lengths, total)
        return x_weights @ x, y_weights @ y, lengths

    def _cells(self, x_frames: int, y_frames: int) -> int:
        return -(-max(x_frames * self.x_step, y_frames * self.y_step) // self.cell)

    def _weights(self, frames: Tensor, lengths: Tensor, step: int, cells: Tensor, total: int) -> Tensor:
        """(B, total, T): row n holds the share of cell n that each frame covers, zeros past `cells`."""
        index = torch.arange(frames.shape[1], device=frames.device)
        low = torch.arange(total, device=frames.device)[:, None] * self.cell
        last = index == lengths[:, None] - 1
        end = torch.where(last, cells[:, None] * self.cell, (index + 1) * step)[:, None]
        overlap = torch.minimum(end, low + self.cell) - torch.maximum(index * step, low)
        valid = (index < lengths[:, None])[:, None]
        return (overlap.clamp(min=0) * valid).to(frames.dtype) / self.cell


def _hop_ratio(x: StreamShape, y: StreamShape) -> Fraction:
    # hops are whole samples over a sampling rate, which the nearest such fraction recovers
    hops = [Fraction(stream.hop).limit_denominator(1_000_000) for stream in (x, y)]
    return hops[0] / hops[1]


def _fixed_frames(x: StreamShape, y: StreamShape) -> tuple[int, int] | None:
    if x.frames is not None and y.frames is not None:
        return x.frames, y.frames
    if x.frames is None and y.frames is None:
        return None
    raise UserError(
        "one spectrogram has a fixed number of frames and the other has not, so they share no clock; "
        "give both a fixed number of frames, or neither"
    )
