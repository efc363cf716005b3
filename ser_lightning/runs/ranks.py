"""A training shared by several processes: the ranks of one process group."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from ser_lightning.config.schema import Config
from ser_lightning.errors import StoppedError
from ser_lightning.processes.launcher import follow, start, without_scheduler
from ser_lightning.processes.meeting import OVER, READY, Meeting, free_port
from ser_lightning.processes.scheduler import Allocation
from ser_lightning.processes.signals import StopSignal
from ser_lightning.processes.stopping import StopRequest, on_signals
from ser_lightning.runs.fitting import Fitting
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.prepare import prepare
from ser_lightning.tracking.wandb import Logger
from ser_lightning.training.device import find_device
from ser_lightning.training.making_up import RankEpochs


def fit_in_ranks(
    config: Config, run: RunFolder, stop: StopRequest, meeting: Meeting | None = None, logger: Logger | None = None
) -> None:
    """Fit a run, whose split and features are there, in `training.ranks` processes; `logger` is told their epochs.

    All are started on this host, or, with a `meeting`, the first here while the others come to it.

    Raises:
        StoppedError: it was asked to stop.
        UserError: a rank failed; its log's end is told.
    """
    if meeting:
        places = {meeting.here.rank: _of_step(config, meeting.here, *meeting.call(run.path))}
    else:
        port, ranks = free_port(), config.training.devices
        places = {rank: environment(rank, rank, 0, ranks, ranks, port) for rank in range(ranks)}
    epochs = RankEpochs(logger, run.path) if logger else None
    _fit(run.path, stop, places, epochs.look if epochs else lambda: None)
    if epochs:
        epochs.ended()


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
            _fit(Path(told["run"]), stop, {meeting.here.rank: place})
            told = meeting.wait(OVER)
    except (StoppedError, StopSignal) as stopped:
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


def _fit(
    folder: Path,
    stop: StopRequest,
    environments: Mapping[int, dict[str, str]],
    look: Callable[[], None] = lambda: None,
) -> None:
    threads = max(1, torch.get_num_threads() // len(environments))
    with on_signals(stop):
        children = [
            start(f"rank {rank}", _fit_rank, (str(folder),), environment, threads, folder / "logs" / f"rank{rank}.log")
            for rank, environment in environments.items()
        ]
        follow(children, stop, look)


def _fit_rank(folder: str) -> None:
    """One process's share of a training whose run was begun by its parent, which tracks it; the first rank saves."""
    run = RunFolder(Path(folder))
    config = run.read_config()
    rank, local = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    fitting, device = Fitting(prepare(config)), find_device(config.training)
    fitting.load(torch.device(device.type, local) if device.type == "cuda" else device)
    fitting.data.shard(rank, config.training.ranks)
    fitting.learner.fit(fitting.data, run.checkpoints, None, StopRequest())
