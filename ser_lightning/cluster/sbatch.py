"""Handing a script to SLURM."""

import shutil
import subprocess

from ser_lightning.cluster.script import Script
from ser_lightning.errors import UserError

SECONDS = 60
"""That sbatch has to answer."""


def sbatch(script: Script, *more: str) -> str:
    """Hand a script to sbatch; returns the job's id.

    Raises:
        UserError: there is no sbatch here, it does not answer, or it refuses the script.
    """
    command = shutil.which("sbatch")
    if command is None:
        raise UserError("no sbatch on this machine: submit on one that has it, a login node; --dry-run shows all")
    try:
        done = subprocess.run(
            [command, "--parsable", *more],
            input=script.text,
            env=script.environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"sbatch did not answer in {SECONDS} s: see `squeue --me` before you submit again") from error
    if done.returncode:
        raise UserError(f"sbatch refuses: {done.stderr.strip()}")
    return done.stdout.strip().partition(";")[0]
