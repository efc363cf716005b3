"""Jobs that run `ser` as the scripts in slurm/ do."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from .client import Client


def ser(client: Client, folder: Path, *options: str, verb: str, words: Sequence[str]) -> str:
    """The id of a job whose steps run `ser verb words` in `folder`, with the warning and requeueing that users have."""
    folder.mkdir(exist_ok=True)
    command = shlex.join(["srun", "--kill-on-bad-exit=1", sys.executable, "-m", "ser_lightning", verb, *words])
    kept = ["--requeue", "--open-mode=append", "-o", str(folder / "out"), "-D", str(folder)]
    return client.submit(*kept, *options, text=f"#!/bin/bash\nexport OMP_NUM_THREADS=1\n{command}\n")


def words(tiny: Sequence[str]) -> list[str]:
    """The words of the tiny corpus, with runs in the job's own folder."""
    return [word for word in tiny if not word.startswith("runs_dir=")] + ["training.patience=null"]
