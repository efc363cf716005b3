"""The recurrence in Triton: a sequence in one kernel up to H = 256, above that a product and a kernel a step.

Float32, bfloat16 or float16 in; c and all sums in float32. Only gate_norm=none: a gate norm needs statistics of the
whole batch within every step, and the programs of a kernel do not wait for one another.
"""

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from ser_lightning.errors import UserError
from ser_lightning.models.ds_lstm import triton_kernels as kernels
from ser_lightning.models.ds_lstm.ways import refuse_second_derivative

Direction = Literal["forward", "backward"]

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
LARGEST = 256
"""The widest state whose six sums fit into the registers of one program."""
BLOCK = 256
"""Units of one program of the pointwise kernels."""


class States(NamedTuple):
    """What a forward pass leaves, time first: h (T, B, H), activated rows (T, B, 6H), c (T, B, H).

    The last two are in float32 (derivatives such as 1 - g^2 of a gate in bfloat16 would cost the gradients their
    second digit), and empty where nothing was saved.
    """

    hidden: Tensor
    gates: Tensor
    cell: Tensor


@torch.compiler.disable  # type: ignore[untyped-decorator,unused-ignore]
def fused_recurrence(projected: Tensor, weight_h: Tensor) -> Tensor:
    """`dual_recurrence` without a gate norm; no copy is made of a `projected` that lies time first in memory.

    Products take the dtype of autocast where it is on, else that of `weight_h`; those in float32 are IEEE unless
    torch's setting for matrix products on CUDA is TF32. Nothing is kept where no gradient is wanted.

    Args:
        projected: (B, T, 6H).
        weight_h: (6H, H).

    Returns:
        (B, T, H) in the dtype of `weight_h`.

    Raises:
        UserError: another dtype, or (in the backward pass) a gradient of the gradient is wanted.
    """
    if unfit := {projected.dtype, weight_h.dtype} - set(DTYPES):
        raise UserError(
            f"the fused recurrence of a GPU computes in float32, bfloat16 or float16, not in {unfit.pop()}; "
            "change training.precision, or set model.recurrence=reference"
        )
    kind = projected.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight_h.dtype
    if torch.is_grad_enabled() and (projected.requires_grad or weight_h.requires_grad):
        hidden: Tensor = _Recurrence.apply(projected, weight_h, dtype)  # type: ignore[no-untyped-call]
        return hidden
    return forward(projected, weight_h.to(dtype), weight_h.dtype, saved=False).hidden.transpose(0, 1)


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, projected: Tensor, weight_h: Tensor, dtype: torch.dtype) -> Tensor:
        weight = weight_h.to(dtype)
        states = forward(projected, weight, weight_h.dtype, saved=True)
        ctx.save_for_backward(weight, *states)
        ctx.dtypes = projected.dtype, weight_h.dtype
        return states.hidden.transpose(0, 1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        refuse_second_derivative()
        weight, *states = ctx.saved_tensors
        rows, grad_weight = backward(grads[0], weight, States(*states), ctx.dtypes[0])
        return rows, grad_weight.to(ctx.dtypes[1]), None


def forward(projected: Tensor, weight: Tensor, dtype: torch.dtype, *, saved: bool) -> States:
    """projected (B, T, 6H), weight (6H, H) in the dtype of the products -> states, h in `dtype`."""
    inputs = projected.transpose(0, 1).contiguous()
    steps, batch, rows = inputs.shape
    shape = (steps, batch, weight.shape[1])
    states = States(
        inputs.new_empty(shape, dtype=dtype),
        inputs.new_empty((steps, batch, rows) if saved else 0, dtype=torch.float32),
        inputs.new_empty(shape if saved else 0, dtype=torch.float32),
    )
    with torch.cuda.device_of(inputs):  # type: ignore[no-untyped-call]
        if options := _launch("forward", inputs, weight):
            _forward_whole(inputs, weight, states, options)
        else:
            _forward_steps(inputs, weight, states)
    return states


def backward(grad: Tensor, weight: Tensor, states: States, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Gradient of h (B, T, H) -> of projected (B, T, 6H) in `dtype`, of the weight (6H, H) in its own."""
    grad = grad.transpose(0, 1).contiguous()
    rows = torch.empty_like(states.gates, dtype=dtype)
    with torch.cuda.device_of(grad):  # type: ignore[no-untyped-call]
        if options := _launch("backward", grad, weight):
            _backward_whole(grad, weight, states, rows, options)
        else:
            _backward_steps(grad, weight, states, rows)
    later, earlier = (part.flatten(0, 1).to(weight.dtype) for part in (rows[1:], states.hidden[:-1]))
    return rows.transpose(0, 1), later.t() @ earlier


def launch(direction: Direction, dtype: torch.dtype, hidden_dim: int, shared_memory: int) -> dict[str, Any] | None:
    """How a kernel of whole sequences is cut: utterances a program, depth of a product's blocks, warps, stages.

    Every program streams all of the weights out of the level-2 cache at each step, several blocks ahead of use as
    far as they fit into `shared_memory` (bytes a program may have); None where not even one does, or H > 256.
    Tensor cores want 16 utterances; exact float32 goes without them, and there more, smaller tiles use more of a GPU.
    """
    precision = "tf32" if torch.backends.cuda.matmul.fp32_precision == "tf32" else "ieee"
    tile = 4 if dtype == torch.float32 and precision == "ieee" else 16
    width = max(16, 1 << (hidden_dim - 1).bit_length())
    depth = 16 if direction == "forward" else 128 // dtype.itemsize
    block = depth * (width * (6 if direction == "forward" else 1) * dtype.itemsize + tile * torch.float32.itemsize)
    ahead = min(3, shared_memory // block)
    if hidden_dim > LARGEST or ahead == 0:
        return None
    return {
        "hidden_dim": hidden_dim,
        "width": width,
        "tile": tile,
        "depth": depth,
        "precision": precision,
        "num_warps": 8 if width > 64 else 4,
        "num_stages": 1 + ahead,
    }


def _launch(direction: Direction, tensor: Tensor, weight: Tensor) -> dict[str, Any] | None:
    if not tensor.is_cuda:  # the interpreter
        return launch(direction, weight.dtype, weight.shape[1], shared_memory=1 << 20)
    device = torch.cuda.get_device_properties(tensor.device)
    limit = getattr(device, "shared_memory_per_block_optin", device.shared_memory_per_block)  # AMD's have the one only
    return launch(direction, weight.dtype, weight.shape[1], limit)


def _forward_whole(inputs: Tensor, weight: Tensor, states: States, options: dict[str, Any]) -> None:
    steps, batch, _ = inputs.shape
    kernels.forward_sequence[(-(-batch // options["tile"]),)](
        inputs,
        weight.t().contiguous(),
        *states,
        steps,
        batch,
        saved=states.gates.numel() > 0,
        interpreted=not inputs.is_cuda,
        **options,
    )


def _backward_whole(grad: Tensor, weight: Tensor, states: States, rows: Tensor, options: dict[str, Any]) -> None:
    steps, batch, _ = grad.shape
    kernels.backward_sequence[(-(-batch // options["tile"]),)](
        grad,
        weight.contiguous(),
        states.gates,
        states.cell,
        rows,
        steps,
        batch,
        interpreted=not grad.is_cuda,
        **options,
    )


def _forward_steps(inputs: Tensor, weight: Tensor, states: States) -> None:
    hidden, gates, cell = states
    saved = gates.numel() > 0
    product = weight.new_zeros(inputs.shape[1:])
    c = torch.zeros_like(hidden[0], dtype=torch.float32)
    for step, projected in enumerate(inputs):
        if step > 0:
            torch.mm(hidden[step - 1].to(weight.dtype), weight.t(), out=product)
        after, activated = (cell[step], gates[step]) if saved else (c, gates)
        kernels.forward_step[(-(-c.numel() // BLOCK),)](
            projected, product, c, after, activated, hidden[step], c.numel(), weight.shape[1], BLOCK, saved
        )
        c = after


def _backward_steps(grad: Tensor, weight: Tensor, states: States, rows: Tensor) -> None:
    _, gates, cell = states
    product = weight.new_zeros(grad.shape[1:])
    grad_c = torch.zeros_like(cell[0])
    start = torch.zeros_like(cell[0])
    for step in reversed(range(len(grad))):
        if step < len(grad) - 1:
            torch.mm(rows[step + 1].to(weight.dtype), weight, out=product)
        before = cell[step - 1] if step > 0 else start
        kernels.backward_step[(-(-grad_c.numel() // BLOCK),)](
            grad[step],
            product,
            grad_c,
            before,
            cell[step],
            gates[step],
            rows[step],
            grad_c.numel(),
            weight.shape[1],
            BLOCK,
        )
