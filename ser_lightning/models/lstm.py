"""torch's LSTM under autocast, on processors too that have none in bfloat16."""

from functools import cache
from typing import Any

import torch
from torch import nn


class LSTM(nn.LSTM):
    """`torch.nn.LSTM`, which under bfloat16 autocast computes in float32 where `has_bfloat16()` is false."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """As `torch.nn.LSTM`'s: a tensor or a packed sequence, and states or None."""
        weight = self.weight_ih_l0
        if weight.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or has_bfloat16():
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            states = None if hx is None else tuple(state.to(weight.dtype) for state in hx)
            return super().forward(input.to(weight.dtype), states)


@cache
def has_bfloat16() -> bool:
    """Whether this processor's LSTM (oneDNN's) computes in bfloat16, found out by trying.

    Of x86 processors those with AVX2 alone have none ("could not create a primitive descriptor for the LSTM"), though
    their other layers do: torch 2.13.0.
    """
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True


def adapt(model: nn.Module) -> int:
    """Let every plain `nn.LSTM` of `model`, a plug-in's say, be an `LSTM`; the number of LSTMs."""
    found = [module for module in model.modules() if isinstance(module, nn.LSTM)]
    for module in found:
        if type(module) is nn.LSTM:
            module.__class__ = LSTM  # it adds no state
    return len(found)
