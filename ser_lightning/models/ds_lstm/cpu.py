"""The dual-sequence layer on a CPU: projections, recurrence and their gradients as one operation.

Rows are kept in the order cT, f, iT, o, iF, cF, in which x feeds the first five and y the last five, so that
each input takes one matrix product. Time is cut into spans whose rows stay in the processor's cache: a span is
projected, then stepped through; backward, it is stepped through in reverse, then multiplied into the gradients.
"""

from typing import Any

import torch
from torch import Tensor

from ser_lightning.models.ds_lstm.norm import Moments, StepGateNorm
from ser_lightning.models.ds_lstm.ways import refuse_second_derivative

FORWARD_ROWS, BACKWARD_ROWS = 128, 512
"""Rows (steps x utterances) of a span, the fastest of those tried (64 to all) at the paper's sizes."""

_sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
_tanh_backward = torch.ops.aten.tanh_backward.grad_input


def fused_layer(
    x: Tensor,
    y: Tensor,
    weight_x: Tensor,
    weight_y: Tensor,
    weight_h: Tensor,
    bias: Tensor,
    gate_norm: StepGateNorm | None = None,
) -> Tensor:
    """`dual_recurrence` of the projected inputs, hand-written; weights as in DualSequenceLayer.

    Products are made in autocast's dtype where it is on, states and sums stay in the dtype of `weight_h`.
    Nothing is kept of the steps where no gradient is asked for.

    Args:
        x: (B, T, Dx).
        y: (B, T, Dy).
        weight_x: (5H, Dx).
        weight_y: (5H, Dy).
        weight_h: (6H, H).
        bias: (6H).
        gate_norm: batch norm of the gates after the sigmoid.

    Returns:
        (B, T, H), h of every step.

    Raises:
        UserError: second derivatives are asked for, or as StepGateNorm.
    """
    product = weight_h.dtype
    if torch.is_autocast_enabled("cpu") and product != torch.float64:
        product = torch.get_autocast_dtype("cpu")
        x, y = x.to(product), y.to(product)
    inputs = (x.transpose(0, 1), y.transpose(0, 1), weight_x, weight_y, weight_h, bias)
    scale = () if gate_norm is None else (gate_norm.weight, gate_norm.bias)
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (*inputs, *scale)):
        states: Tensor = _FusedLayer.apply(gate_norm, product, *inputs, *scale)  # type: ignore[no-untyped-call]
        return states.transpose(0, 1)
    with torch.no_grad():
        return _forward(inputs, gate_norm, product, keep=False)[0][1:].transpose(0, 1)


class _FusedLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, gate_norm: StepGateNorm | None, product: torch.dtype, *tensors: Tensor) -> Tensor:
        states, kept, moments = _forward(tensors[:6], gate_norm, product, keep=True)
        ctx.gate_norm, ctx.product, ctx.moments = gate_norm, product, moments
        ctx.save_for_backward(*tensors[:5], states, *kept, *tensors[6:7])
        return states[1:]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        refuse_second_derivative()
        return None, None, *_backward(ctx, grad)


def _forward(
    inputs: tuple[Tensor, ...], gate_norm: StepGateNorm | None, product: torch.dtype, keep: bool
) -> tuple[Tensor, tuple[Tensor, ...], list[Moments]]:
    """States (T + 1, B, H) from zero on; rows (T, B, 6H), memories (T + 1, B, H), sigmoids."""
    x, y, weight_x, weight_y, weight_h, bias = inputs
    steps, batch, hidden = x.shape[0], x.shape[1], weight_h.shape[1]
    span = _span(steps, batch, FORWARD_ROWS)
    ordered = _candidate_first(weight_x, hidden), weight_y, _candidate_first(weight_h, hidden)
    by_x, by_y, by_h = (weight.to(product).t().contiguous() for weight in ordered)
    bias = _candidate_first(bias, hidden)
    slots = steps if keep else span
    rows = bias.new_empty(slots, batch, 6 * hidden)
    states = bias.new_empty(steps + 1, batch, hidden)
    memories = bias.new_empty(steps + 1 if keep else 1, batch, hidden)
    tanh_c = bias.new_empty(batch, hidden)
    sigmoids = bias.new_empty(slots if gate_norm else 0, batch, 4 * hidden)
    states[0] = memories[0] = 0
    moments: list[Moments] = []

    row, state, memory, sigmoid = (t.unbind(0) for t in (rows, states, memories, sigmoids))
    gates = rows[:, :, hidden : 5 * hidden].unbind(0)
    candidates = rows.view(slots, batch, 6, hidden)[:, :, ::5].unbind(0)
    c_x, forget, i_x, out, i_y, c_y = (part.unbind(0) for part in rows.chunk(6, 2))
    for start in range(0, steps, span):
        end = min(start + span, steps)
        block = rows[start % slots : start % slots + end - start].flatten(0, 1)
        block.copy_(bias)
        _add_product(block[:, : 5 * hidden], x[start:end].flatten(0, 1), by_x)
        _add_product(block[:, hidden:], y[start:end].flatten(0, 1), by_y)
        for step in range(start, end):
            t = step % slots
            c = memory[step + 1 if keep else 0]
            if step:
                _add_product(row[t], state[step].to(product), by_h)
            candidates[t].tanh_()
            gates[t].sigmoid_()
            if gate_norm is not None:
                sigmoid[t].copy_(gates[t])
                normal, moment = gate_norm.normalise(sigmoid[t], step)
                gates[t].copy_(normal)
                moments.append(moment)
            torch.mul(forget[t], memory[step if keep else 0], out=c)
            c.addcmul_(i_x[t], c_x[t]).addcmul_(i_y[t], c_y[t])
            torch.tanh(c, out=tanh_c)
            torch.mul(out[t], tanh_c, out=state[step + 1])
    return states, (rows, memories, sigmoids), moments


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    """Gradients of x, y, the three weights, the bias and, where there is one, the gate norm's scale and shift."""
    x, y, weight_x, weight_y, weight_h, states, rows, memories, sigmoids, *scale = ctx.saved_tensors
    steps, batch, hidden = x.shape[0], x.shape[1], weight_h.shape[1]
    span, norm = _span(steps, batch, BACKWARD_ROWS), ctx.gate_norm
    ordered = _candidate_first(weight_x, hidden), weight_y, _candidate_first(weight_h, hidden)
    to_x, to_y, to_h = (weight.to(ctx.product) for weight in ordered)
    wanted = ctx.needs_input_grad[2:]
    grad_x, grad_y = (torch.empty_like(t, memory_format=torch.contiguous_format) for t in (x, y))
    grad_wx, grad_wy, grad_wh = (torch.zeros_like(w) for w in (weight_x, weight_y, weight_h))
    grad_bias = weight_h.new_zeros(6 * hidden)
    grad_scale = weight_h.new_zeros(2 if norm else 0, 4 * hidden)

    deltas = rows.new_empty(span, batch, 6 * hidden)
    slope = rows.new_empty(span, batch, hidden)
    tanhs = torch.empty_like(slope)
    delta, of_memory = deltas.unbind(0), slope.unbind(0)
    parts = deltas.view(span, batch, 6, hidden)
    to_memory = parts[:, :, :3].unbind(0), parts[:, :, 4:].unbind(0)
    to_output, gates = parts[:, :, 3].unbind(0), deltas[:, :, hidden : 5 * hidden].unbind(0)
    forget, upstream, sigmoid = rows.chunk(6, 2)[1].unbind(0), grad.unbind(0), sigmoids.unbind(0)
    dh, dc = upstream[-1].clone(memory_format=torch.contiguous_format), torch.zeros_like(states[0])
    over_parts = dc[:, None]
    for start in reversed(range(0, steps, span)):
        end = min(start + span, steps)
        torch.tanh(memories[start + 1 : end + 1], out=tanhs[: end - start])
        _slopes(rows[start:end], memories[start:end], tanhs[: end - start], deltas, slope, after_norm=norm is not None)
        for step in reversed(range(start, end)):
            t = step - start
            dc.addcmul_(dh, of_memory[t])
            to_memory[0][t].mul_(over_parts)
            to_memory[1][t].mul_(over_parts)
            to_output[t].mul_(dh)
            if norm is not None:
                found = norm.gradients(gates[t].contiguous(), sigmoid[step], scale[0], step, ctx.moments[step])
                gates[t].copy_(torch.ops.aten.sigmoid_backward(found[0], sigmoid[step]))
                grad_scale += torch.stack(found[1:])
            if step:
                dc.mul_(forget[step])
                dh.copy_(upstream[step - 1])
                _add_product(dh, delta[t].to(ctx.product), to_h)
        block = deltas[: end - start].flatten(0, 1)
        low = block.to(ctx.product)
        by_x, by_y = low[:, : 5 * hidden], low[:, hidden:]
        if wanted[0]:
            torch.mm(by_x, to_x, out=grad_x[start:end].flatten(0, 1))
        if wanted[1]:
            torch.mm(by_y, to_y, out=grad_y[start:end].flatten(0, 1))
        if wanted[2]:
            _add_product(grad_wx, by_x.t(), x[start:end].flatten(0, 1))
        if wanted[3]:
            _add_product(grad_wy, by_y.t(), y[start:end].flatten(0, 1))
        if wanted[4]:
            _add_product(grad_wh, low.t(), states[start:end].flatten(0, 1).to(ctx.product))
        grad_bias += block.sum(0)
    return (
        grad_x if wanted[0] else None,
        grad_y if wanted[1] else None,
        _candidate_fifth(grad_wx, hidden),
        grad_wy,
        _candidate_fifth(grad_wh, hidden),
        _candidate_fifth(grad_bias, hidden),
        *grad_scale.unbind(0),
    )


def _slopes(rows: Tensor, previous: Tensor, tanhs: Tensor, deltas: Tensor, slope: Tensor, after_norm: bool) -> None:
    """What dc or dh is multiplied by: for each row into `deltas`, from dh to dc into `slope`; gates up to a norm."""
    count = rows.shape[0]
    c_x, forget, i_x, out, i_y, c_y = rows.chunk(6, 2)
    to = deltas[:count].chunk(6, 2)
    _tanh_backward(i_x, c_x, grad_input=to[0])
    _tanh_backward(i_y, c_y, grad_input=to[5])
    _tanh_backward(out, tanhs, grad_input=slope[:count])
    for gate, factor, into in zip((forget, i_x, out, i_y), (previous, c_x, tanhs, c_y), to[1:5], strict=True):
        if after_norm:
            into.copy_(factor)
        else:
            _sigmoid_backward(factor, gate, grad_input=into)


def _add_product(into: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == into.dtype:
        into.addmm_(left, right)
    else:
        into.add_(left @ right)


def _candidate_first(rows: Tensor, hidden: int) -> Tensor:
    """Rows f, iT, o, iF, cT and what follows -> cT, f, iT, o, iF and what follows."""
    return torch.cat([rows[4 * hidden : 5 * hidden], rows[: 4 * hidden], rows[5 * hidden :]])


def _candidate_fifth(rows: Tensor, hidden: int) -> Tensor:
    return torch.cat([rows[hidden : 5 * hidden], rows[:hidden], rows[5 * hidden :]])


def _span(steps: int, batch: int, rows: int) -> int:
    return min(steps, max(1, rows // batch))
