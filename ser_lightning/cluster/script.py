"""A batch script: its header from the settings, its body from the packaged slurm/."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_lightning.cluster.settings import Slurm
from ser_lightning.config.schema import Training
from ser_lightning.config.sources import packaged

INLINED = ". slurm/job.sh || exit\n"
"""How a packaged script takes in the file beside it."""
SWITCHES = {"open-mode": "append", "requeue": ""}
"""What each job has: one log over all its starts, and starts."""
VARIABLES = {"time": "TIMELIMIT", "mem": "MEM_PER_NODE", "array": "ARRAY_INX"}
"""Options whose variable SBATCH_... has another name."""


@dataclass(frozen=True)
class Script:
    """One job, or an array of them.

    Args:
        body: the packaged script, by its name.
        words: of the verb that the body starts.
        options: of sbatch by their long names; "" for a switch.
        slurm: lines before the body, and further options.
    """

    body: str
    words: Sequence[str]
    options: Mapping[str, str]
    slurm: Slurm

    @property
    def text(self) -> str:
        """What sbatch reads."""
        given = [f"--{name}={text}" if text else f"--{name}" for name, text in self.options.items()]
        header = [f"#SBATCH {shlex.quote(option)}" for option in (*given, *self.slurm.options)]
        path = f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"'
        words = f"set -- {shlex.join(self.words)}"
        return "\n".join(["#!/bin/bash", *header, "", path, *self.slurm.setup, words, "", _body(self.body)])

    @property
    def environment(self) -> dict[str, str]:
        """For sbatch: less what would win over the header, and what tells of a job that we are in."""
        names = [*self.options, *(option.partition("=")[0].lstrip("-") for option in self.slurm.options)]
        taken = {f"SBATCH_{VARIABLES.get(name, name.replace('-', '_').upper())}" for name in names}
        return {
            name: text
            for name, text in os.environ.items()
            if name not in taken and (not name.startswith("SLURM_") or name in ("SLURM_CONF", "SLURM_CLUSTERS"))
        }


def options(slurm: Slurm, name: str, log: str = "%x-%j.out") -> dict[str, str]:
    """Of any job."""
    given = {
        "job-name": slurm.name or name,
        "output": str(Path(slurm.logs_dir) / log),
        **SWITCHES,
        "signal": f"USR1@{slurm.signal}",
        "account": slurm.account,
        "partition": slurm.partition,
        "qos": slurm.qos,
        "time": slurm.time,
    }
    return {key: text for key, text in given.items() if text is not None}


def resources(slurm: Slurm, training: Training, tasks: int = 1) -> dict[str, str]:
    """Of a job that trains, with `tasks` on each of its nodes."""
    auto = training.devices if training.accelerator == "cuda" else 0
    gpus = auto if slurm.gpus is None else slurm.gpus
    given = {
        "nodes": training.num_nodes,
        "ntasks-per-node": tasks,
        "cpus-per-task": slurm.cpus_per_task,
        "mem": slurm.mem,
        "gres": f"{slurm.gres}:{gpus}" if gpus else None,
    }
    return {key: str(text) for key, text in given.items() if text is not None}


def array(first: int, last: int, at_once: int | None) -> dict[str, str]:
    """Of an array of jobs."""
    return {"array": f"{first}-{last}" + (f"%{at_once}" if at_once else "")}


def _body(name: str) -> str:
    return _code(f"{name}.sbatch").replace(INLINED, _code("job.sh") + "\n")


def _code(name: str) -> str:
    """A packaged file without its header and the comments that are about the file."""
    lines = (packaged("slurm") / name).read_text(encoding="utf-8").splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith("#")).lstrip("\n")
