"""A training shared by several processes: the ranks of one process group."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from ser_lightning.config.schema import Config
from ser_lightning.errors import StoppedError
from ser_lightning.processes.launcher import follow, start, without_scheduler
from ser_lightning.processes.meeting import OVER, READY, Meeting, free_port
from ser_lightning.processes.scheduler import Allocation, array_delay
from ser_lightning.processes.signals import Stopped
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.outcome import wandb_config, wandb_identity
from ser_lightning.runs.prepare import make_learner, prepare
from ser_lightning.tracking.wandb import tracked
from ser_lightning.training.device import find_device


def fit_in_ranks(config: Config, folder: Path, stop: StopRequest, meeting: Meeting | None = None) -> None:
    """Fit the run of `folder`, whose split and features are there, in `training.ranks` processes.

    All are started on this host, or, with a `meeting`, the first here while the others come to it.

    Raises:
        StoppedError: it was asked to stop.
        UserError: a rank failed; its log's end is told.
    """
    if meeting:
        _fit(config, folder, stop, {meeting.here.rank: _of_step(config, meeting.here, *meeting.call(folder))})
    else:
        port, ranks = free_port(), config.training.devices
        _fit(config, folder, stop, {rank: environment(rank, rank, 0, ranks, ranks, port) for rank in range(ranks)})


def join(config: Config, meeting: Meeting, stop: StopRequest) -> RunFolder:
    """Be one of the other ranks of a step: the first has the run, and ends it.

    Raises:
        StoppedError: it was asked to stop.
        UserError: this rank or the first one failed.
    """
    try:
        told = meeting.wait(READY, OVER)
        if told["state"] == READY:
            place = _of_step(config, meeting.here, told["address"], told["port"])
            _fit(config, Path(told["run"]), stop, {meeting.here.rank: place})
            told = meeting.wait(OVER)
    except (StoppedError, Stopped) as stopped:
        stopped.requeues = False  # only the first knows whether the run has got on
        raise
    return RunFolder(Path(told["run"]))


def environment(
    rank: int, local: int, node: int, ranks: int, here: int, port: int, address: str = "127.0.0.1"
) -> dict[str, str]:
    """What a rank is told: its place among `ranks`, on its node among `here` of them, and where the first listens."""
    place = {"RANK": rank, "LOCAL_RANK": local, "GROUP_RANK": node, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": here}
    told = {name: str(value) for name, value in place.items()}
    return without_scheduler() | told | {"MASTER_ADDR": address, "MASTER_PORT": str(port)}


def _of_step(config: Config, here: Allocation, address: str, port: int) -> dict[str, str]:
    ranks, devices = config.training.ranks, config.training.devices
    return environment(here.rank, here.local_rank, here.node_rank, ranks, devices, port, address)


def _fit(config: Config, folder: Path, stop: StopRequest, environments: Mapping[int, dict[str, str]]) -> None:
    threads = max(1, torch.get_num_threads() // len(environments))
    with on_signals(stop):
        children = [
            start(f"rank {rank}", _fit_rank, (str(folder),), environment, threads,
                  folder / "logs" / f"rank{rank}.log")
            for rank, environment in environments.items()
        ]  # fmt: skip
        follow(children, stop)


def _fit_rank(folder: str) -> None:
    """One process's share of a training whose run was begun by its parent; the first rank tracks and saves."""
    run = RunFolder(Path(folder))
    config = run.read_config()
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    prepared = prepare(config)
    parts, proof = prepared.split()
    learner = make_learner(prepared)
    device = find_device(config.training)
    mine = torch.device(device.type, local) if device.type == "cuda" else device
    data = prepared.data(parts, ("train", "validation"), learner.streams, mine)
    data.shard(rank, config.training.ranks)
    tracking = config.tracking if rank == 0 else replace(config.tracking, mode="off")
    identity = wandb_identity(config, run, proof.labels)
    with tracked(tracking, identity, wandb_config(config, run), run.path, array_delay()) as logger:
        learner.fit(data, run.checkpoints, logger, StopRequest())
