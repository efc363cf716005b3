"""Which implementation of the recurrence runs: one module, three ways to the same numbers."""

from importlib.util import find_spec
from typing import Literal

import torch

from ser_lightning.errors import UserError

RecurrenceName = Literal["auto", "reference", "fused"]
Way = Literal["reference", "cpu", "triton"]


def way(name: RecurrenceName, device: torch.device, gate_norm: bool, dtype: torch.dtype = torch.float32) -> Way:
    """What computes a layer with weights of `dtype`: the plain equations, the CPU's fused layer or the GPU's kernels.

    Raises:
        UserError: `fused` is named and there is none for the device, or none with gate norm there.
    """
    obstacle = _obstacle(device, gate_norm, dtype)
    if name == "reference" or (name == "auto" and obstacle):
        return "reference"
    if obstacle:
        raise UserError(f"model.recurrence=fused {obstacle}; set model.recurrence=auto or reference")
    return "cpu" if device.type == "cpu" else "triton"


def refuse_second_derivative() -> None:
    """To be called in a hand-written backward, which autograd cannot differentiate again.

    Raises:
        UserError: gradients are taken with create_graph=True.
    """
    if torch.is_grad_enabled():
        raise UserError(
            "the fused recurrence gives no gradient of its gradient (create_graph=True); set model.recurrence=reference"
        )


def _obstacle(device: torch.device, gate_norm: bool, dtype: torch.dtype) -> str | None:
    if device.type == "cpu":
        return None
    if device.type != "cuda":
        return f"runs on a CPU or a CUDA device, not on {device}"
    if gate_norm:
        return "has no kernel for model.gate_norm=post_sigmoid_bn on CUDA"
    if dtype == torch.float64:
        return "computes in 32 or 16 bits on CUDA, not in float64"
    return None if find_spec("triton") else "needs the package triton on CUDA: pip install triton"
