"""What the daemons read: slurm.conf, gres.conf, slurmdbd.conf, munge's key, and devices that stand for GPUs."""

import os
import socket
import stat
from dataclasses import dataclass, field
from pathlib import Path

NODES = ("n1", "n2")
GPUS = 2
CPUS = 8
KILL_WAIT = 5
"""Seconds from SIGTERM to SIGKILL."""
GRACE = 5
"""Seconds that a job pre-empted in partition `grace` has before it is requeued; SLURM takes some more."""
NULL = os.makedev(1, 3)

SLURM = """
ClusterName=ser
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
# How long a requeued job waits before it starts again: 5 s is the least that SLURM accepts.
AuthInfo=socket={folder}/munge.sock,cred_expire=5
# Listen on 127.0.0.1 only.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/log/slurmctld
SlurmdLogFile={folder}/log/%n
# No control groups, which containers seldom have: nothing confines a job.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1
# More CPUs and memory than the machine has are taken at their word.
SlurmdParameters=config_overrides
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=30
KillWait={kill_wait}
JobRequeue=1
MinJobAge=86400
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=debug Nodes=ALL Default=YES PriorityTier=1 LLN=YES
PartitionName=grace Nodes=ALL PriorityTier=1 GraceTime={grace}
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={cpus} RealMemory=256000 Gres=gpu:{gpus}\n"
)
ACCOUNTED = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounting}
# Despite its name the socket of munge.
AccountingStoragePass={folder}/munge.sock
AccountingStorageTRES=gres/gpu
"""
SLURMDBD = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


@dataclass(frozen=True)
class Configuration:
    """The files of one cluster below `folder`, whose path has at most 70 characters (sockets)."""

    folder: Path
    accounted: bool
    ports: dict[str, int] = field(default_factory=lambda: _free_ports("controller", "accounting", *NODES))

    def write(self) -> None:
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o600)
        for name in ("log", "state", "dev", *NODES):
            (self.folder / name).mkdir()
        for gpu in range(GPUS):  # a plain file would be no GPU to SLURM
            os.mknod(self.folder / f"dev/nvidia{gpu}", stat.S_IFCHR | 0o666, NULL)
        (self.folder / "gres.conf").write_text(f"Name=gpu File={self.folder}/dev/nvidia[0-{GPUS - 1}]\n")
        (self.folder / "slurm.conf").write_text(self._nodes() + self._filled(SLURM + ACCOUNTED * self.accounted))
        (self.folder / "slurmdbd.conf").write_text(self._filled(SLURMDBD))
        (self.folder / "slurmdbd.conf").chmod(0o600)

    def _nodes(self) -> str:
        host = socket.gethostname().partition(".")[0]
        return "".join(NODE.format(name=n, host=host, port=self.ports[n], cpus=CPUS, gpus=GPUS) for n in NODES)

    def _filled(self, text: str) -> str:
        host = socket.gethostname().partition(".")[0]
        return text.format(folder=self.folder, host=host, kill_wait=KILL_WAIT, grace=GRACE, **self.ports)


def _free_ports(*names: str) -> dict[str, int]:
    sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in names}
    ports = {name: held.getsockname()[1] for name, held in sockets.items()}
    for held in sockets.values():
        held.close()
    return ports
