"""A training shared by several processes: the ranks of one process group."""

import os
import socket
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ser_lightning.config.compose import bind
from ser_lightning.config.schema import Config
from ser_lightning.runs.folder import RunFolder
from ser_lightning.runs.launcher import follow, start, without_scheduler
from ser_lightning.training.stopping import StopRequest, on_signals


def fit_in_ranks(config: Config, folder: Path, stop: StopRequest) -> None:
    """Fit the run of `folder`, whose split and features are there, in `training.devices` processes of this host.

    Raises:
        StoppedError: it was asked to stop.
        UserError: a rank failed; its log's end is told.
    """
    ranks = config.training.devices
    threads = max(1, torch.get_num_threads() // ranks)
    with on_signals(stop):
        children = [
            start(f"rank {rank}", _fit_rank, (asdict(config), str(folder)), environment, threads,
                  folder / "logs" / f"rank{rank}.log")
            for rank, environment in enumerate(environments(ranks))
        ]  # fmt: skip
        follow(children, stop)


def environments(ranks: int) -> Iterator[dict[str, str]]:
    """What each rank is told: its place, and a port that nobody uses, so that two trainings on a host don't meet."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outer = without_scheduler()
    for rank in range(ranks):
        place = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks}
        yield outer | {name: str(value) for name, value in place.items()} | {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip


def _fit_rank(tree: dict[str, Any], folder: str) -> None:
    from ser_lightning.runs.train import fit_rank

    fit_rank(bind(tree, f"{folder}/config.yaml"), RunFolder(Path(folder)), int(os.environ["RANK"]))
