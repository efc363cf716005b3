"""Jobs that run `ser` as the scripts in slurm/ do."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from ..sweeps.plugin.erratic.model import SLOW
from ..sweeps.trials import PLUGIN
from .client import Client


def ser(client: Client, folder: Path, *options: str, verb: str, words: Sequence[str]) -> str:
    """The id of a job whose steps run `ser verb words` in `folder`, with the warning and requeueing that users have."""
    folder.mkdir(exist_ok=True)
    command = shlex.join(["srun", "--kill-on-bad-exit=1", sys.executable, "-m", "ser_lightning", verb, *words])
    kept = ["--requeue", "--open-mode=append", "-o", str(folder / "out"), "-D", str(folder)]
    exports = f"export OMP_NUM_THREADS=1 PYTHONPATH={shlex.quote(str(PLUGIN))}"
    return client.submit(*kept, *options, text=f"#!/bin/bash\n{exports}\n{command}\n")


def words(tiny: Sequence[str]) -> list[str]:
    """The words of the tiny corpus, with runs in the job's own folder."""
    return [word for word in tiny if not word.startswith("runs_dir=")] + ["training.patience=null"]


def resting(tiny: Sequence[str], epochs: int) -> list[str]:
    """The same, of `epochs` epochs of 12 steps, in each of which the model rests: a quarter of a second an epoch."""
    model = ["model.name=erratic", f"model.mood={SLOW}", "model.dropout=0.0"]
    return [*words(tiny), *model, f"training.max_epochs={epochs}", "training.batch_size=2"]
