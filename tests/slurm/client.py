"""Talking to a cluster as its users do: by SLURM's own commands."""

import os
import re
import subprocess
from collections.abc import Collection
from pathlib import Path

from ..waiting import LONGEST, until

ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "DEADLINE", "BOOT_FAIL")
POLL = 0.1
"""Seconds between two questions to the controller, each a process."""
FOREIGN = ("SLURM", "SBATCH", "SRUN", "SALLOC", "SCANCEL", "SQUEUE", "SINFO", "SACCT")


class RefusedError(Exception):
    """A command of SLURM ended with an error; the message is what it said."""


class Client:
    """Commands for the cluster of one slurm.conf."""

    def __init__(self, settings: Path) -> None:
        self.settings = settings

    @property
    def env(self) -> dict[str, str]:
        """The environment for commands: this process's, without another cluster's variables."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
        return kept | {"SLURM_CONF": str(self.settings)}

    def run(self, *words: object, text: str | None = None, cwd: Path | None = None, **env: str) -> str:
        """What a command says, `text` being its input; RefusedError if it ends with an error."""
        command = [str(word) for word in words]
        ended = subprocess.run(
            command, input=text, cwd=cwd, env=self.env | env, capture_output=True, text=True, timeout=LONGEST
        )
        if ended.returncode != 0:
            raise RefusedError(f"{' '.join(command)}: {ended.stderr.strip()}")
        return ended.stdout.strip()

    def submit(self, *words: object, text: str | None = None, cwd: Path | None = None, **env: str) -> str:
        """The id of a job submitted by `sbatch words`; `text` is its script where `words` name no file."""
        return self.run("sbatch", "--parsable", *words, text=text, cwd=cwd, **env)

    def jobs(self, job: str) -> list[dict[str, str]]:
        """What `scontrol show job` knows: a record, or one a task of an array, in their order."""
        lines = self.run("scontrol", "show", "job", "-o", job).splitlines()
        records = [{k: v.strip() for k, v in re.findall(r"(\S+?)=(.*?)(?= [A-Z][\w/:]*=|$)", line)} for line in lines]
        return sorted(records, key=lambda record: int(record["JobId"]))

    def job(self, job: str) -> dict[str, str]:
        """The one record of a job, or of an array's task `<job>_<task>`."""
        (record,) = self.jobs(job)
        return record

    def wait(self, *jobs: str, states: Collection[str] = ENDED, timeout: float = LONGEST) -> list[dict[str, str]]:
        """The records of `jobs` once each is in one of `states`; TimeoutError with the last seen after `timeout` s."""
        seen: list[dict[str, str]] = []

        def there() -> bool:
            seen[:] = [record for job in jobs for record in self.jobs(job)]
            return all(record["JobState"] in states for record in seen)

        try:
            until(there, f"jobs {jobs} in {states}", timeout, POLL)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; last seen: {seen}") from error
        return seen

    def wait_restarted(self, job: str, times: int = 1, timeout: float = LONGEST) -> dict[str, str]:
        """The record once the job was started again `times` times and its script runs, or has run."""

        def again() -> bool:
            record = self.job(job)
            return int(record["Restarts"]) >= times and record["JobState"] in ("RUNNING", *ENDED)

        until(again, f"restart {times} of job {job}", timeout, POLL)
        return self.job(job)

    def signal(self, job: str, name: str, *options: str) -> None:
        """Signal a job's steps as at `--signal=NAME`; `--batch` its script instead, `--full` both."""
        self.run("scancel", f"--signal={name}", *options, job)

    def cancel(self, *jobs: str) -> None:
        self.run("scancel", *jobs)

    def sacct(self, job: str, *fields: str) -> list[list[str]]:
        """`fields` of all runs of a job, the earliest first; only where the cluster is `accounted`."""
        said = self.run("sacct", "-D", "-X", "-n", "-P", "-j", job, "--format", ",".join(fields))
        return [line.split("|") for line in said.splitlines()]
