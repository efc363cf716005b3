"""The device that a training runs on, found before any work begins."""

import logging
import warnings
from typing import Any

import lightning as L
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from ser_lightning.config.schema import Training
from ser_lightning.errors import UserError
from ser_lightning.processes.scheduler import one_host, own_process
from ser_lightning.processes.slots import environments

LIGHTNING = ("lightning.pytorch", "lightning.fabric")


def find_device(training: Training) -> torch.device:
    """The device that Lightning will train on.

    Raises:
        UserError: the accelerator that was named is not there, or can't do the precision.
    """
    quieten()
    off = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    quiet: dict[str, Any] = dict.fromkeys(off, False)
    try:
        trainer = L.Trainer(accelerator=training.accelerator, devices=1, plugins=[LightningEnvironment()], **quiet)
    except Exception as error:
        raise UserError(
            f"training.accelerator={training.accelerator}: not available here ({error}); "
            "training.accelerator=cpu runs everywhere"
        ) from error
    device = trainer.strategy.root_device
    if device.type == "cuda" and training.devices > torch.cuda.device_count():
        raise UserError(f"training.devices={training.devices}: there are {torch.cuda.device_count()} GPUs here")
    if device.type == "mps" and training.devices > 1:
        raise UserError("training.devices: ranks share no mps device; use training.devices=1 or accelerator=cpu")
    if device.type == "cpu" and training.precision == "16-mixed":
        # Lightning would go on in bfloat16 with a warning.
        raise UserError("training.precision=16-mixed needs a GPU; on a CPU use bf16-mixed or 32")
    return device


def slots_for(training: Training, jobs: int | None) -> list[dict[str, str]]:
    """The slots of trainings that are started here, `jobs` at a time; None for as many as the GPUs can hold, or one.

    Raises:
        UserError: the device is not there, no job at all, or ranks on several nodes.
    """
    one_host(training)
    own_process()
    return environments(find_device(training), jobs, training.devices)


def quieten() -> None:
    """Keep Lightning's information out of the terminal; warnings stay, and run.log has all."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")  # Lightning's own use of torch
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # it is no rank that srun should start
    for name in LIGHTNING:
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                handler.setLevel(logging.WARNING)
