"""Whether the ranks of a training have ended with one model."""

import hashlib
import logging

import lightning as L
import torch

from ser_lightning.errors import UserError

logger = logging.getLogger(__name__)


def same_weights(trainer: L.Trainer, module: L.LightningModule) -> None:
    """Compare the parameters of all ranks by a digest, which each rank logs; every rank has to call it.

    Buffers are left out: unless they are synchronised, a batch norm's running statistics are of a rank's own batches.

    Raises:
        UserError: they differ, so that the first rank's checkpoint is not what the others trained.
    """
    found = hashlib.sha256()
    for parameter in module.parameters():
        found.update(parameter.detach().float().cpu().contiguous().numpy().tobytes())
    logger.warning("rank %d ends with weights %s", trainer.global_rank, found.hexdigest()[:16])
    # 52 bits, which float64 and int64 carry exactly.
    own = torch.tensor(int(found.hexdigest()[:13], 16), device=trainer.strategy.root_device)
    highest, lowest = (trainer.strategy.reduce(sign * own, reduce_op="max") for sign in (1, -1))
    if int(highest) != -int(lowest):
        raise UserError(
            f"the ranks ended with different weights (rank {trainer.global_rank}: {found.hexdigest()[:16]}): a step "
            "was not shared by all of them; this run's checkpoints are not to be used, remove it and train again"
        )
