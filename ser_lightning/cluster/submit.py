"""`ser submit`: the same verbs as on a laptop, as batch jobs of SLURM."""

from collections.abc import Sequence
from pathlib import Path

from ser_lightning.cluster.jobs import KINDS, Jobs
from ser_lightning.cluster.sbatch import sbatch
from ser_lightning.cluster.settings import Slurm, slurm_settings
from ser_lightning.config.components import hint
from ser_lightning.console import say
from ser_lightning.errors import ConfigError, UserError


def submit(words: Sequence[str], conf: str | None = None, dry_run: bool = False) -> list[str]:
    """Submit `train`, `crossval` or `sweep` with its words; returns the ids of the jobs, or none on a dry run.

    Raises:
        ConfigError: the verb, one of its words or a setting of SLURM is wrong.
        UserError: `ser doctor` refuses, or sbatch does.
    """
    slurm, rest = slurm_settings(words, conf)
    if not rest or rest[0] not in KINDS:
        asked = f"`{rest[0]}`{hint(rest[0], KINDS)}" if rest else f"what? One of {', '.join(KINDS)}"
        raise ConfigError(f"ser submit: {asked}")
    kind, *own = rest
    jobs = KINDS[kind](own, conf, slurm)
    _say_gpus(jobs, slurm)
    if dry_run:
        print("\n".join(script.text for script in jobs.scripts), end="")
        return []
    from ser_lightning.cluster.doctor import refuse  # torch, which a typo need not wait for

    refuse(kind, own, conf, slurm)
    Path(slurm.logs_dir).mkdir(parents=True, exist_ok=True)  # without it a job ends at once and says nothing
    return _submit(jobs)


def _say_gpus(jobs: Jobs, slurm: Slurm) -> None:
    if slurm.gpus is None and jobs.training.accelerator == "auto":
        say(
            "no GPUs are asked for: training.accelerator=auto takes what is there; write training.accelerator=cuda",
            style="yellow",
        )


def _submit(jobs: Jobs) -> list[str]:
    ids: list[str] = []
    for script in jobs.scripts:
        # afterany: folds that failed are told by the result, which is marked incomplete.
        after = [f"--dependency=afterany:{ids[-1]}", "--kill-on-invalid-dep=yes"] if ids else []
        try:
            ids.append(sbatch(script, *after))
        except UserError as error:
            raise UserError(f"{error} (submitted already: {', '.join(ids)})" if ids else str(error)) from error
        print(ids[-1])
    commands = [f"squeue -j {','.join(ids)}", *jobs.next]
    say(f"next: {', '.join(commands)}")
    return ids
