"""What SLURM is asked for: accepted, enough, and going on after its warning."""

import re
import shutil
from collections.abc import Iterator, Sequence

from ser_lightning.cluster.checks import Finding, Work
from ser_lightning.cluster.checks_batch import Step
from ser_lightning.cluster.jobs import KINDS
from ser_lightning.cluster.sbatch import sbatch
from ser_lightning.cluster.settings import Slurm
from ser_lightning.errors import UserError
from ser_lightning.processes.scheduler import scontrol

SPARE = 30.0
"""Seconds for ending a step and what follows; W&B online has a minute more to finish."""
WANDB = 60.0


def resources(work: Work, slurm: Slurm) -> Finding:
    """Devices against what a node is asked for; tasks and nodes follow from the training by themselves."""
    training = work.config.training
    text = f"{training.num_nodes} node(s) with {training.devices} rank(s), {work.jobs} run(s) at a time"
    if work.children and training.num_nodes > 1 and (work.crossval or work.sweep):
        return Finding("tasks", "fail", text, "training.num_nodes=1: only `ser train` takes several nodes")
    gpus = training.devices if slurm.gpus is None and training.accelerator == "cuda" else slurm.gpus or 0
    if training.accelerator == "cuda" and gpus < work.processes:
        remedy = f"slurm.gpus={work.processes}, or fewer training.devices"
        return Finding("tasks", "fail", f"{text}, but {gpus} GPU(s) a node", remedy)
    ranks = 1 if work.crossval is None and work.sweep is None else work.processes
    text = f"{text}, {gpus} GPU(s) a node, {slurm.cpus_per_task} core(s) a task"
    if slurm.cpus_per_task < ranks:
        return Finding("tasks", "warn", f"{text} for {ranks} processes", f"slurm.cpus_per_task={ranks}")
    return Finding("tasks", "ok", text)


def signals(work: Work, slurm: Slurm, step: Step | None) -> Iterator[Finding]:
    """Whether a job that is warned has time to stop, and is started again."""
    options = " ".join(slurm.options)
    if "--no-requeue" in options:
        yield Finding("requeue", "fail", f"slurm.options: {options}", "leave --no-requeue out: no job would go on")
    if "--signal" in options:
        yield Finding("signal", "warn", f"slurm.options: {options}", "slurm.signal=SECONDS sends USR1 to the ranks")
        return
    took = step.seconds if step else 0.0
    needed = took + SPARE + (WANDB if work.config.tracking.mode == "online" else 0.0)
    text = f"USR1 {slurm.signal} s before the limit; a step takes {took:.1f} s at the most"
    level = "fail" if slurm.signal <= took else "warn" if slurm.signal < needed else "ok"
    yield Finding("signal", level, text, f"slurm.signal={needed:.0f}" if level != "ok" else "")  # type: ignore[arg-type]
    if slurm.time and step:
        yield from _limit(slurm, step)


def _limit(slurm: Slurm, step: Step) -> Iterator[Finding]:
    """A job that ends no epoch between two starts is not started a third time."""
    limit, epoch = seconds_of(slurm.time or ""), step.seconds * step.steps
    if limit is not None:
        text = f"slurm.time={slurm.time} leaves {limit - slurm.signal:.0f} s; an epoch may take {epoch:.0f} s"
        short = limit - slurm.signal < epoch
        yield Finding("time limit", "warn" if short else "ok", text, "a longer slurm.time" if short else "")


def controller(step: Step | None) -> Iterator[Finding]:
    """What the cluster's configuration says of requeueing and of the time between TERM and KILL."""
    said, wrong = scontrol("show", "config")
    if wrong:
        yield Finding("cluster", "warn", f"{wrong}: not checked", "run `ser doctor` where SLURM is")
        return
    found = dict(re.findall(r"^(\w+)\s*= (.*?)\s*$", said, re.MULTILINE))
    wait = float(re.sub(r"\D", "", found.get("KillWait", "")) or 0)
    requeue = (
        "jobs are requeued" if found.get("JobRequeue") == "1" else "jobs that ask for it, as these do, are requeued"
    )
    text = f"{requeue}; {wait:.0f} s from TERM to KILL"
    took = step.seconds if step else 0.0
    if wait < took:
        yield Finding("cluster", "warn", f"{text}, a step takes {took:.1f} s", "pre-empted runs go back an epoch")
    else:
        yield Finding("cluster", "ok", text)


def accepted(kind: str, words: Sequence[str], conf: str | None, slurm: Slurm) -> Finding:
    """What `sbatch --test-only` says of the scripts: account, partition, time, nodes, GPUs.

    Raises:
        UserError: it refuses one.
    """
    if shutil.which("sbatch") is None:
        return Finding("sbatch", "warn", "no sbatch here: not checked", "run `ser doctor` where SLURM is")
    for script in KINDS[kind](words, conf, slurm).scripts:
        sbatch(script, "--test-only")
    return Finding("sbatch", "ok", "account, partition and resources are accepted")


def seconds_of(limit: str) -> float | None:
    """What sbatch's --time means: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S; None where there is no limit.

    Raises:
        UserError: it is no time.
    """
    if limit.upper() in ("UNLIMITED", "INFINITE", "0"):
        return None
    days, dash, rest = limit.rpartition("-")
    fields = rest.split(":")
    if not all(text.isdigit() for text in (days or "0", *fields)) or len(fields) > 3:
        raise UserError(f"slurm.time={limit}: is no time; write 8:00:00, 1-12 or 90 (minutes)")
    numbers = [int(text) for text in fields]
    if dash:
        hours, minutes, seconds = [*numbers, 0, 0][:3]
    elif len(numbers) == 3:
        hours, minutes, seconds = numbers
    else:
        hours, minutes, seconds = 0, *[*numbers, 0][:2]
    return float(((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds)
