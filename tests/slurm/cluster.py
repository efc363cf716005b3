"""A real SLURM cluster on one machine, from Debian's packages: a controller, two nodes with two fake GPUs each.

Everything lies in one folder and listens on 127.0.0.1 only. Partitions: `debug`, the default; `grace`, which leaves
what is pre-empted some seconds; `urgent`, which pre-empts and requeues what runs in the others. Nothing confines
jobs: each sees the whole machine.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from ..proc import carriers, kill, spawn, users
from ..waiting import LONGEST, until
from . import hosts
from .client import Client, RefusedError
from .configuration import NODES, Configuration

NEEDED = {"slurmctld": "slurmctld", "slurmd": "slurmd", "sbatch": "slurm-client", "munged": "munge"}
ACCOUNTING = {
    "slurmdbd": "slurmdbd",
    "mariadbd": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}
# A database for minutes: nothing has to be on the disk when it says so.
FAST = ("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--innodb-log-file-size=8M")


def packages(programs: dict[str, str]) -> list[str]:
    """Debian's packages of those programs that are not here."""
    return [package for program, package in programs.items() if shutil.which(program) is None]


def missing() -> str:
    """Why there can be no cluster here; empty where there can."""
    if lacking := packages(NEEDED):
        return f"SLURM is not installed (Debian: apt-get install {' '.join(lacking)})"
    return "" if os.getuid() == 0 else "only root can start a SLURM cluster"


class Cluster(Client):
    """`with Cluster() as cluster:`; `accounted` is whether it has sacct, by default where its packages are."""

    def __init__(self, accounted: bool | None = None) -> None:
        # A short path of its own: those of sockets may have 107 bytes. The object that removes it is the one that
        # made it: it never takes a path from elsewhere.
        self._made = tempfile.TemporaryDirectory(prefix="sl", dir="/tmp")
        self.folder.chmod(0o755)
        super().__init__(self.folder / "slurm.conf")
        self.accounted = not packages(ACCOUNTING) if accounted is None else accounted
        self._daemons: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def folder(self) -> Path:
        return Path(self._made.name)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> Self:
        """Up, with both nodes idle, or not at all."""
        try:
            Configuration(self.folder, self.accounted).write()
            hosts.add(list(NODES), self.folder)
            self._start_munge()
            if self.accounted:
                self._start_accounting()
            self.start_controller()
            self.start_nodes()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kill all that was started here, jobs too, and remove the folder."""
        kill(lambda: self._own() | {daemon.pid for daemon in self._daemons.values() if daemon.poll() is None})
        for daemon in self._daemons.values():
            daemon.wait()
        hosts.remove(self.folder)
        self._made.cleanup()

    def reset(self) -> None:
        """Nothing runs or waits, and everything is up again."""
        if "slurmctld" not in self._daemons:
            self.start_controller()
        self.run("scancel", "--full", "--signal=KILL", "--user=root")
        self.run("scancel", "--user=root")
        self._until(lambda: not self.run("squeue", "-h"), "end of all jobs")
        self.start_nodes()

    def start_controller(self) -> None:
        self._spawn("slurmctld", "slurmctld", "-D")
        self._until(lambda: self.run("scontrol", "ping"), "slurmctld")

    def stop_controller(self) -> None:
        """An orderly shutdown: jobs go on, and are known again after `start_controller`."""
        daemon = self._daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(LONGEST)

    def restart_controller(self) -> None:
        self.stop_controller()
        self.start_controller()

    def start_nodes(self) -> None:
        """Nodes that are down come back; all are idle or busy then."""
        for name in NODES:
            if name not in self._daemons:
                self._spawn(name, "slurmd", "-D", "-N", name)
        self._until(lambda: self._states() <= {"idle", "mixed", "allocated"}, "nodes")

    def kill_node(self, name: str, declare: bool = True) -> None:
        """The node's power goes. SLURM finds out after tens of seconds, or at once where it is told (`declare`)."""
        kill(lambda: self._of_node(name))
        self._daemons.pop(name).wait()
        if declare:
            self.run("scontrol", "update", f"NodeName={name}", "State=DOWN", "Reason=killed")

    def _states(self) -> set[str]:
        return set(self.run("sinfo", "-h", "-N", "-o", "%T").split())

    def _own(self) -> set[int]:
        return users(self.folder) | carriers(f"SLURM_CONF={self.settings}")

    def _of_node(self, name: str) -> set[int]:
        of_jobs = carriers(f"SLURM_CONF={self.settings}", f"SLURMD_NODENAME={name}")
        daemon = self._daemons[name]
        own = {daemon.pid} if daemon.poll() is None else set()
        return users(self.folder / "log" / name, self.folder / name) | of_jobs | own

    def _start_munge(self) -> None:
        names = {"socket": "munge.sock", "pid-file": "munge.pid", "key-file": "munge.key", "seed-file": "munge.seed"}
        files = [f"--{option}={self.folder / name}" for option, name in names.items()]
        self._spawn("munged", "munged", "--foreground", *files, f"--log-file={self.folder}/log/munged")
        self._until((self.folder / "munge.sock").exists, "munged")

    def _start_accounting(self) -> None:
        data, server = self.folder / "db", self.folder / "db.sock"
        options = ["--no-defaults", "--user=root", f"--datadir={data}", *FAST]
        self.run("mariadb-install-db", *options, "--skip-test-db", "--auth-root-authentication-method=normal")
        sockets = ["--skip-networking", f"--socket={server}", f"--pid-file={data}/pid"]
        self._spawn("mariadbd", "mariadbd", *options, *sockets)
        self._until(server.exists, "mariadbd")
        self._spawn("slurmdbd", "slurmdbd", "-D", MYSQL_UNIX_PORT=str(server))
        self._until(lambda: self.run("sacctmgr", "-i", "add", "cluster", "ser"), "slurmdbd")

    def _spawn(self, name: str, *words: object, **env: str) -> None:
        self._daemons[name] = spawn(words, self.folder / "log" / f"{name}.out", self.env | env)

    def _until(self, there: Callable[[], object], what: str) -> None:
        """Poll until `there()` is true; what refuses is not there yet, but a daemon that ended never will be."""
        refusal = ""

        def poll() -> bool:
            nonlocal refusal
            if dead := [name for name, daemon in self._daemons.items() if daemon.poll() is not None]:
                raise RuntimeError(f"{dead[0]} has ended: {self._said(dead[0])}")
            try:
                return bool(there())
            except RefusedError as error:
                refusal = str(error)
                return False

        try:
            until(poll, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error} {refusal}\n" + "\n".join(map(self._said, self._daemons))) from error

    def _said(self, daemon: str) -> str:
        return (self.folder / "log" / f"{daemon}.out").read_text(errors="replace")[-2000:]
