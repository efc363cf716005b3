"""Room for what the runs will leave, and for what they hold while they work."""

import os
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ser_lightning.cluster.checks import Finding, Work, nearest, size
from ser_lightning.cluster.settings import Slurm
from ser_lightning.config.schema import Config
from ser_lightning.runs.prepare import Prepared, make_learner
from ser_lightning.training.lightning_learner import LightningLearner

FILES = 60
"""Files and folders that a run leaves, with W&B's; 59 were counted after a demo training of two ranks."""
OTHERS = 2**20
"""Bytes of a run beside its weights: predictions, pictures, logs and W&B's copies; that demo left 0.3 MiB."""
TIGHT = 0.8
"""Share of the free space above which others may take the rest first."""


def kept_bytes(prepared: Prepared) -> tuple[int, int]:
    """Bytes of weights that a finished run keeps, and those that it holds besides while it trains.

    Kept are the best and the last epoch's weights; in training `last.ckpt` has the last one's with the optimiser's
    state instead, and with training.keep_epochs there is a file an epoch.
    """
    learner, training = make_learner(prepared), prepared.config.training
    if not isinstance(learner, LightningLearner):
        return 2 * 8 * learner.parameters, 0
    weights = sum(tensor.nbytes for tensor in learner.module.state_dict().values())
    learnt = sum(p.nbytes for p in learner.module.parameters() if p.requires_grad)
    moments = 1 if training.optimizer == "sgd" else 2
    # Once more for the checkpoint that is being written, which then replaces the one before.
    working = 2 * (weights + moments * learnt) + (training.max_epochs * weights if training.keep_epochs else 0)
    return 2 * weights, working


def disk(
    work: Work, config: Config, slurm: Slurm | None, prepared: Prepared, runs: int, missing: int
) -> Iterator[Finding]:
    """A row for each disk: what is needed of it, against what is free."""
    kept, working = kept_bytes(replace(prepared, config=config))
    together = min(runs, work.jobs * _processes(work, slurm, runs))
    needs = {
        config.runs_dir: (runs * (kept + OTHERS) + together * working, runs * FILES),
        config.cache_dir: (missing, 1),
    }
    by_disk: defaultdict[int, list[str]] = defaultdict(list)
    for folder in needs:
        by_disk[nearest(folder).stat().st_dev].append(folder)
    for folders in by_disk.values():
        wanted, files = (sum(needs[folder][i] for folder in folders) for i in (0, 1))
        yield _row(folders, wanted, files, f"{runs} x {size(kept + OTHERS)} kept, {together} at once")


def _processes(work: Work, slurm: Slurm | None, runs: int) -> int:
    """Processes that work at the same time."""
    if work.sweep is None and work.crossval is None:
        return 1
    if slurm is None:
        return 1
    return slurm.at_once or (slurm.workers if work.sweep else runs)


def _row(folders: list[str], wanted: int, files: int, how: str) -> Finding:
    place = nearest(folders[0])
    free, room = shutil.disk_usage(place).free, os.statvfs(place)
    what, text = f"disk of {' and '.join(folders)}", f"at the most {size(wanted)} ({how}) of {size(free)} free"
    if wanted > free:
        return Finding(what, "fail", text, "make room, or other folders: runs_dir=..., cache_dir=...")
    if room.f_files and files > room.f_favail:  # file systems that count none say 0 of 0
        return Finding(what, "fail", f"{files} files, and room for {room.f_favail} more", "remove files there")
    if wanted > TIGHT * free:
        return Finding(what, "warn", text, "make room: others may fill it meanwhile")
    return Finding(what, "ok", f"{text}; your quota may be less")
