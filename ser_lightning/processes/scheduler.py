"""What SLURM says of this process, and asking it to start the job again. Nothing else reads SLURM's variables."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cache

from ser_lightning.config.schema import Training
from ser_lightning.console import say
from ser_lightning.errors import StoppedError, UserError
from ser_lightning.processes.signals import deaf

RANKS = (
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "SLURM_NODEID",
    "SLURM_NTASKS",
    "SLURM_NPROCS",
    "SLURM_NTASKS_PER_NODE",
    "SLURM_TASKS_PER_NODE",
    "SLURM_STEP_NUM_TASKS",
    "SLURM_STEP_TASKS_PER_NODE",
    "SLURM_STEP_ID",
    "SLURM_STEPID",
)
"""Variables from which libraries conclude that this process is a rank of one training."""
LAUNCHERS = re.compile(
    r"((LOCAL_|GROUP_|ROLE_|NODE_)?RANK|(LOCAL_|GROUP_|ROLE_)?WORLD_SIZE|ROLE_NAME|MASTER_(ADDR|PORT)"
    r"|(TORCHELASTIC|JSM|PMI|PMIX|OMPI|MV2|PALS|MPI|FLUX_TASK|PL_TRAINER)_\w+)"
)
"""What other launchers leave, of ranks and of Lightning's settings. Ranks that are started here are told theirs."""
SECONDS = 30
"""That a controller has to answer."""
LAST = 120
"""Seconds for another process of the step to have the job started again."""
TRIES = 3
"""Questions to a controller that does not answer, which is busy when many jobs are pre-empted."""
POLL = 5
"""Seconds between two looks at whether a pre-empted job is still there."""
GAP, LONGEST_DELAY = 0.1, 30.0
"""Seconds between two tasks of an array that begin something at once, and of the last behind the first."""
FRESH = 120
"""Seconds after a job's start within which the array's other tasks may be where this one is."""


@dataclass(frozen=True)
class Allocation:
    """A job's process: in a step that srun started, or (`step` is empty) in its batch script."""

    job: str
    """SLURM_JOB_ID, of an array task its own."""
    name: str
    """What people and scontrol call it: of an array task <array>_<task>."""
    restarts: int
    """Times that the job was started again."""
    step: str
    tasks: int
    """Processes of the step."""
    nodes: int
    """Nodes of the step."""
    rank: int
    """Number of this process among them."""
    local_rank: int
    """Its number on its node."""
    node_rank: int
    host: str
    """The node's name, by which the others reach it."""


@cache
def allocation() -> Allocation | None:
    """Where this process runs; None outside SLURM.

    Read once, because what says that the process is a rank is then taken out of its environment: Lightning and W&B
    would believe it of workers that have nothing to do with each other.
    """
    try:
        return _read_allocation()
    finally:
        for variable in RANKS:
            os.environ.pop(variable, None)


def restarted() -> bool:
    """Whether the scheduler has started this process's job again, and no person has."""
    here = allocation()
    return here is not None and here.restarts > 0


def own_process() -> None:
    """Be no rank but srun's: what is left of other launchers neither counts here nor reaches the children."""
    allocation()
    for name in [name for name in os.environ if LAUNCHERS.fullmatch(name)]:
        del os.environ[name]
    if lightning := sys.modules.get("lightning_utilities.core.rank_zero"):
        lightning.rank_zero_only.rank = 0  # which it reads once, from that environment


def _read_allocation() -> Allocation | None:
    job = os.environ.get("SLURM_JOB_ID", "")
    if not job:
        return None
    array, step = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_STEP_ID", "")
    return Allocation(
        job=job,
        name=f"{array}_{os.environ['SLURM_ARRAY_TASK_ID']}" if array else job,
        restarts=_number("SLURM_RESTART_COUNT", 0),
        step=step,
        tasks=_number("SLURM_STEP_NUM_TASKS", 1) if step else 1,
        nodes=_number("SLURM_STEP_NUM_NODES", 1) if step else 1,
        rank=_number("SLURM_PROCID", 0) if step else 0,
        local_rank=_number("SLURM_LOCALID", 0) if step else 0,
        node_rank=_number("SLURM_NODEID", 0) if step else 0,
        host=os.environ.get("SLURMD_NODENAME", "127.0.0.1"),
    )


def _number(variable: str, otherwise: int) -> int:
    return int(os.environ.get(variable) or otherwise)


def task_of(training: Training) -> Allocation | None:
    """This process's part in a training whose ranks srun has started; None where the launcher starts all of them.

    Raises:
        UserError: the step's tasks are not the training's ranks; the line to change is named.
    """
    here, devices, nodes = allocation(), training.devices, training.num_nodes
    asked = f"training.devices={devices} training.num_nodes={nodes}"
    if here is None or here.tasks == 1:
        if nodes > 1:
            raise UserError(
                f"{asked}: ranks on several nodes are started by srun: in the batch script write "
                f"`#SBATCH --nodes={nodes}`, `#SBATCH --ntasks-per-node={devices}` and `srun ser train ...`"
            )
        return None
    if (here.tasks, here.nodes) != (devices * nodes, nodes):
        raise UserError(
            f"{asked}: {devices * nodes} ranks, but this step has {here.tasks} tasks on {here.nodes} nodes; write "
            f"`#SBATCH --nodes={nodes}` and `#SBATCH --ntasks-per-node={devices}`, or set training.devices and "
            "training.num_nodes to what the step has"
        )
    return here


def array_delay() -> float:
    """Seconds by which this task lets those before it in its array go first; 0 outside arrays."""
    task = os.environ.get("SLURM_ARRAY_TASK_ID")
    if task is None or time.time() - _number("SLURM_JOB_START_TIME", int(time.time())) > FRESH:
        return 0.0
    before = int(task) - _number("SLURM_ARRAY_TASK_MIN", 0)
    return before // max(1, _number("SLURM_ARRAY_TASK_STEP", 1)) * GAP % LONGEST_DELAY


def one_host(training: Training) -> None:
    """Raises UserError: the training's ranks are on several nodes, and here trainings are started on one."""
    if training.num_nodes > 1:
        raise UserError(
            f"training.num_nodes={training.num_nodes}: only `ser train`, started by srun, has ranks on several nodes; "
            "here set training.num_nodes=1, and training.devices to the ranks of a node"
        )


def after_stop(error: StoppedError) -> None:
    """The job's last act: after a warning of its time limit, and only then, it has itself started again.

    After SIGTERM it never does: SLURM itself starts again what it pre-empted, and what a person cancelled stays so.
    But a job that ends within the grace time of its pre-emption counts as ended, so it waits for that to be over.
    """
    here = allocation()
    if here is None:
        return
    if error.exit_code == 128 + signal.SIGUSR1 and error.requeues:
        with deaf():  # the job's end comes before scontrol has answered
            _requeue(here, error)
    elif error.exit_code == 128 + signal.SIGUSR1:
        time.sleep(LAST)  # srun --kill-on-bad-exit would end who asks; what it asks for ends this, too
    elif error.exit_code == 128 + signal.SIGTERM and _in_grace_time(here):
        say(f"ser: job {here.name} is pre-empted; it ends when SLURM takes its nodes")
        while _in_grace_time(here):
            time.sleep(POLL)


def _in_grace_time(here: Allocation) -> bool:
    for _ in range(TRIES):
        said, complaint = scontrol("show", "job", "--oneliner", here.job)
        if not complaint:
            return "JobState=RUNNING" in said and "PreemptTime=" in said and "PreemptTime=None" not in said
        time.sleep(POLL)
    return False


def _requeue(here: Allocation, error: StoppedError) -> None:
    """What was started again and has got nothing done since then stays stopped."""
    if here.restarts and not error.progressed:
        say(
            f"ser: job {here.name} was started again and finished no epoch since then: it is not requeued; give it "
            "more time (#SBATCH --time), or an earlier end of its work (shorter epochs), and submit it again",
            style="red",
        )
        return
    said = scontrol("requeue", here.name)[1]
    words = f"cannot be requeued ({said}): submit it again to go on" if said else "is requeued and goes on by itself"
    say(f"ser: job {here.name} {words}")


def scontrol(*words: str) -> tuple[str, str]:
    """What scontrol says, and what it complains of: nothing where it did what was asked."""
    command = shutil.which("scontrol")
    if command is None:
        return "", "there is no scontrol on this node"
    try:
        done = subprocess.run([command, *words], capture_output=True, text=True, check=False, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return "", f"scontrol did not answer in {SECONDS} s"
    complaint = done.stderr.strip() or f"scontrol ended with exit code {done.returncode}"
    return done.stdout, complaint if done.returncode else ""
