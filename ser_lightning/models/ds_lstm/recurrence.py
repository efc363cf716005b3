"""The sequential part of the dual-sequence cell: all that cannot be computed for every step at once."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

GateNorm = Callable[[Tensor, int], Tensor]


def dual_recurrence(projected: Tensor, weight_h: Tensor, gate_norm: GateNorm | None = None) -> Tensor:
    """One memory fed by two candidates, each through an input gate of its own, from zero states.

    With rows in the order f, iT, o, iF, cT, cF and a = projected[:, t] + weight_h h, for every step t:
    f, iT, o, iF = G(sigmoid(a[:4H])); c = f c + iT tanh(a[4H:5H]) + iF tanh(a[5H:]); h = o tanh(c), where G
    is `gate_norm`, or nothing. The states stay in the dtype of `weight_h` under autocast.

    Args:
        projected: (B, T, 6H), W_x x + W_y y + b for every step.
        weight_h: (6H, H).
        gate_norm: maps the gates (B, 4H) of a step, after the sigmoid, and the step's index.

    Returns:
        (B, T, H), h of every step. A step depends on none after it, so padding at the end does no harm.
    """
    hidden = weight_h.shape[1]
    h = c = weight_h.new_zeros(projected.shape[0], hidden)
    outputs = []
    for step, inputs in enumerate(projected.unbind(1)):
        rows = inputs + functional.linear(h, weight_h)
        gates, candidate_x, candidate_y = torch.split(rows, [4 * hidden, hidden, hidden], 1)
        gates = gates.sigmoid()
        if gate_norm is not None:
            gates = gate_norm(gates, step)
        forget, input_x, output, input_y = gates.chunk(4, 1)
        c = forget * c + input_x * candidate_x.tanh() + input_y * candidate_y.tanh()
        h = output * c.tanh()
        outputs.append(h)
    return torch.stack(outputs, 1)
