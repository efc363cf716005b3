"""Batch norm over the batches of all ranks, masked or not, on any backend."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from ser_lightning.errors import UserError

MARK = "over_all_ranks"
"""Attribute of a batch norm that takes its statistics over all ranks."""


def synchronise(model: nn.Module) -> None:
    """Mark every batch norm of `model`.

    torch's own conversion knows neither masks nor gloo, which is what ranks on CPUs speak.

    Raises:
        UserError: the model normalises step by step, which the mark doesn't reach.
    """
    for module in model.modules():
        if type(module).__name__ in ("StepGateNorm", "OutputBatchNorm"):
            raise UserError(
                "training.sync_batchnorm: gate_norm=post_sigmoid_bn and out_norm=bn normalise each step over a rank's "
                "own batch; set training.sync_batchnorm=false, or the model's norms to none or layer"
            )
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, MARK, True)


def synchronised(norm: nn.Module) -> bool:
    return getattr(norm, MARK, False) and torch.distributed.is_initialized()


def over_ranks(norm: nn.Module, total: Tensor) -> Tensor:
    """The sum of `total` over ranks, through which gradients flow, where `norm` is marked; else `total`."""
    return cast(Tensor, all_reduce(total.contiguous())) if synchronised(norm) else total  # type: ignore[no-untyped-call]
