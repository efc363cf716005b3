"""One dual-sequence layer and the stack of them."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm.cpu import fused_layer
from ser_lightning.models.ds_lstm.norm import OutputBatchNorm, StepGateNorm
from ser_lightning.models.ds_lstm.recurrence import dual_recurrence
from ser_lightning.models.ds_lstm.ways import RecurrenceName, way

GateNormName = Literal["none", "post_sigmoid_bn"]
OutNormName = Literal["none", "bn", "layer"]


class DualSequenceLayer(nn.Module):
    """The DS-LSTM cell over a whole sequence (arXiv 1910.08874), input projections out of the loop.

    The published matrices W_f, W_iT, W_o, W_iF over [x; y; h], W_T over [x; h] and W_F over [y; h] are kept
    by the input they multiply: `weight_x` (5H, Dx) with rows f, iT, o, iF, cT; `weight_y` (5H, Dy) with rows
    f, iT, o, iF, cF; `weight_h` (6H, H) and `bias` (6H) with rows f, iT, o, iF, cT, cF.

    Args:
        x_dim: Dx, width of the first sequence.
        y_dim: Dy, width of the second sequence.
        hidden_dim: H.
        gate_norm: `none`, or batch norm of the gates after the sigmoid, one set of statistics a step.
        out_norm: norm of what the next layer sees; the recurrent state stays as it is.
        steps: the fixed number of time steps, None where lengths vary.
        recurrence: the plain equations, the fused way of the device, or auto: the fused one where there is one.

    Raises:
        UserError: gate_norm needs fixed steps and lengths vary; forward: `fused` can't be had on the device.
    """

    def __init__(
        self,
        x_dim: int,
        y_dim: int,
        hidden_dim: int,
        *,
        gate_norm: GateNormName = "none",
        out_norm: OutNormName = "none",
        steps: int | None = None,
        recurrence: RecurrenceName = "auto",
    ) -> None:
        super().__init__()
        self.recurrence: RecurrenceName = recurrence
        self.weight_x = nn.Parameter(torch.empty(5 * hidden_dim, x_dim))
        self.weight_y = nn.Parameter(torch.empty(5 * hidden_dim, y_dim))
        self.weight_h = nn.Parameter(torch.empty(6 * hidden_dim, hidden_dim))
        self.bias = nn.Parameter(torch.empty(6 * hidden_dim))
        self.gate_norm = _gate_norm(gate_norm, hidden_dim, steps)
        self.out_norm = _out_norm(out_norm, hidden_dim, steps)
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Uniform in +-1/sqrt(fan-in) of each published matrix, the default of nn.Linear; no forget bias."""
        hidden, x_dim, y_dim = self.weight_h.shape[1], self.weight_x.shape[1], self.weight_y.shape[1]
        split = [4 * hidden, hidden, hidden]
        gates_h, candidate_xh, candidate_yh = torch.split(self.weight_h, split)
        gates_b, candidate_xb, candidate_yb = torch.split(self.bias, split)
        gates_x, candidate_x = torch.split(self.weight_x, split[:2])
        gates_y, candidate_y = torch.split(self.weight_y, split[:2])
        matrices = [
            (x_dim + y_dim + hidden, (gates_x, gates_y, gates_h, gates_b)),
            (x_dim + hidden, (candidate_x, candidate_xh, candidate_xb)),
            (y_dim + hidden, (candidate_y, candidate_yh, candidate_yb)),
        ]
        for fan_in, parts in matrices:
            for part in parts:
                nn.init.uniform_(part, -(fan_in**-0.5), fan_in**-0.5)

    def forward(self, x: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        """x (B, T, Dx), y (B, T, Dy), lengths (B,) -> (B, T, H); what lies past a length means nothing."""
        outputs = self._outputs(x, y)
        if isinstance(self.out_norm, OutputBatchNorm):
            return self.out_norm.sequence(outputs, lengths)
        normalised: Tensor = self.out_norm(outputs)
        return normalised

    def _outputs(self, x: Tensor, y: Tensor) -> Tensor:
        chosen = way(self.recurrence, self.weight_h.device, self.gate_norm is not None, self.weight_h.dtype)
        if chosen == "cpu":
            return fused_layer(x, y, self.weight_x, self.weight_y, self.weight_h, self.bias, self.gate_norm)
        if chosen == "reference":
            return dual_recurrence(self.project(x, y), self.weight_h, self.gate_norm)
        try:
            from ser_lightning.models.ds_lstm.gpu import fused_recurrence  # triton is imported where it is used
        except ImportError as error:
            raise UserError(
                f"the recurrence's kernels for CUDA can't be loaded ({error}): mend triton, or set "
                "model.recurrence=reference"
            ) from error
        outputs: Tensor = fused_recurrence(self.project(x, y), self.weight_h)
        return outputs

    def project(self, x: Tensor, y: Tensor) -> Tensor:
        """The inputs' part of all six rows for every step: (B, T, Dx), (B, T, Dy) -> (B, T, 6H)."""
        split = [4 * self.weight_h.shape[1], self.weight_h.shape[1]]
        gates_x, candidate_x = torch.split(functional.linear(x, self.weight_x), split, 2)
        gates_y, candidate_y = torch.split(functional.linear(y, self.weight_y), split, 2)
        return torch.cat([gates_x + gates_y, candidate_x, candidate_y], 2) + self.bias


class DualSequenceLSTM(nn.Module):
    """Layers of the cell; each reads the outputs of the one below as x and the same y again.

    Args:
        x_dim, y_dim, hidden_dim, gate_norm, out_norm, steps, recurrence: as DualSequenceLayer.
        num_layers: layers.
        dropout: probability of zeroing an output between layers.

    Raises:
        UserError: as DualSequenceLayer, or fewer than one layer.
    """

    def __init__(
        self,
        x_dim: int,
        y_dim: int,
        hidden_dim: int,
        *,
        num_layers: int,
        dropout: float,
        gate_norm: GateNormName,
        out_norm: OutNormName,
        steps: int | None,
        recurrence: RecurrenceName = "auto",
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise UserError(f"model.num_layers is {num_layers}: a dual-sequence LSTM has at least one layer")
        self.layers = nn.ModuleList(
            DualSequenceLayer(
                width, y_dim, hidden_dim, gate_norm=gate_norm, out_norm=out_norm, steps=steps, recurrence=recurrence
            )
            for width in [x_dim] + [hidden_dim] * (num_layers - 1)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, y: Tensor, lengths: Tensor) -> Tensor:
        """x (B, T, Dx), y (B, T, Dy), lengths (B,) -> (B, T, H) of the last layer."""
        for index, layer in enumerate(self.layers):
            x = layer(self.dropout(x) if index else x, y, lengths)
        return x


def _gate_norm(name: GateNormName, hidden_dim: int, steps: int | None) -> StepGateNorm | None:
    if name == "none":
        return None
    if steps is None:
        raise UserError(
            "model.gate_norm=post_sigmoid_bn keeps statistics of every time step and so needs utterances "
            "of one length: choose features with a fixed number of frames, or set model.gate_norm=none"
        )
    return StepGateNorm(steps, 4 * hidden_dim)


def _out_norm(name: OutNormName, hidden_dim: int, steps: int | None) -> nn.Module:
    if name == "bn":
        return OutputBatchNorm(hidden_dim, fixed=steps is not None)
    return nn.LayerNorm(hidden_dim) if name == "layer" else nn.Identity()
