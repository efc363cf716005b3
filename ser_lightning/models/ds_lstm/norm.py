"""The two batch norms of the authors' cell, which their figure leaves out and their results depend on."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ser_lightning.errors import UserError
from ser_lightning.models.blocks import length_mask, masked_batch_norm

EPSILON = 1e-5
Moments = tuple[Tensor, Tensor] | None
"""Mean and 1 / standard deviation of a training batch (4H); None: the running ones were used."""


def _refuse_single(batch: int, option: str) -> None:
    if batch < 2:
        raise UserError(
            f"{option} cannot normalise a training batch of one utterance; "
            "raise training.batch_size or training.max_frames, or set the option to none"
        )


class StepGateNorm(nn.Module):
    """Batch norm of the gates after the sigmoid, with running statistics of every time step.

    Scale (0.1 at the start) and shift (0) are shared over time, so at the start a gate has mean 0 and
    standard deviation 0.1 over the batch: it may be negative. eps 1e-5, momentum 0.1.

    Args:
        steps: T, the fixed number of time steps.
        gates: 4H, width of the gate vector.

    Raises:
        UserError: a training batch holds one utterance.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, steps: int, gates: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((gates,), 0.1))
        self.bias = nn.Parameter(torch.zeros(gates))
        self.register_buffer("running_mean", torch.zeros(steps, gates))
        self.register_buffer("running_var", torch.ones(steps, gates))

    def forward(self, gates: Tensor, step: int) -> Tensor:
        """(B, 4H) of time step `step` -> (B, 4H)."""
        if self.training:
            _refuse_single(gates.shape[0], "model.gate_norm=post_sigmoid_bn")
        mean, var = self.running_mean[step], self.running_var[step]
        return functional.batch_norm(gates, mean, var, self.weight, self.bias, self.training)

    def normalise(self, gates: Tensor, step: int) -> tuple[Tensor, Moments]:
        """As forward, without autograd: the normalised gates, and what `gradients` takes."""
        if self.training:
            _refuse_single(gates.shape[0], "model.gate_norm=post_sigmoid_bn")
        running = self.running_mean[step], self.running_var[step]
        normal, *moments = torch.native_batch_norm(gates, self.weight, self.bias, *running, self.training, 0.1, EPSILON)
        return normal, (moments[0], moments[1]) if self.training else None

    def gradients(
        self, upstream: Tensor, gates: Tensor, scale: Tensor, step: int, moments: Moments
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of the gates (B, 4H), the scale and the shift (4H); `upstream` (B, 4H) is of the result.

        `scale` (4H) is the weight of the forward pass, which need not be the module's any more.
        """
        running = self.running_mean[step], self.running_var[step]
        own = moments or (None, None)
        found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.native_batch_norm_backward(
            upstream, gates, scale, *running, *own, moments is not None, EPSILON, [True, True, True]
        )
        return found


class OutputBatchNorm(nn.BatchNorm1d):
    """Batch norm of a layer's outputs with one set of running statistics for all time steps.

    Where time is fixed it does as the authors did inside their loop: in training each step is normalised by
    its own batch statistics and then moves the running statistics, so these move T times a batch; evaluation
    uses the shared ones. Where lengths vary, late steps would be left with hardly an utterance to take
    statistics from, so training takes them once over all valid steps of the batch.

    Args:
        hidden_dim: H.
        fixed: every utterance has the same number of steps.

    Raises:
        UserError: time is fixed and a training batch holds one utterance.
    """

    def __init__(self, hidden_dim: int, fixed: bool) -> None:
        super().__init__(hidden_dim)
        self.fixed = fixed

    def sequence(self, outputs: Tensor, lengths: Tensor) -> Tensor:
        """(B, T, H), lengths (B,) -> (B, T, H)."""
        if self.fixed and self.training:
            _refuse_single(outputs.shape[0], "model.out_norm=bn")
            return torch.stack([self(step) for step in outputs.unbind(1)], 1)
        mask = length_mask(lengths, outputs.shape[1])[:, None]
        return masked_batch_norm(self, outputs.transpose(1, 2), mask).transpose(1, 2)
