"""Who has a trial, and whether they live: a lease of a trial is a file, made once, and touched while its worker lives.

`owners/7.0` names the first worker that took trial 7, `owners/7.1` who took it over, and so on: of any number who reach
for a trial one makes the file of the next turn, and has it. Only the exclusive creation of a file is relied on: it is
exact on local file systems and on NFS from version 3 on, needs no lock, and leaves nothing behind that would have to be
broken when its maker is killed.

A worker on this host lives as long as its process. One elsewhere lives while it touches the lease (or the heartbeat in
the run's folder: another host may see only one of the two), and is waited for while its job stands in the scheduler's
queue. Whoever finds a lease of a dead worker takes the trial over.
"""

import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ser_lightning.files import write_json
from ser_lightning.processes.identity import ProcessIdentity
from ser_lightning.processes.queue import Queue

Liveness = Literal["alive", "dead", "queued"]
HEARTBEAT = "heartbeat"
"""The file in a run's folder that says whose it is, and is touched with the lease."""
BEATS = 6
"""Heartbeats within `study.stale`: so many may be missed before a worker counts as dead."""

_queue = Queue()


@dataclass(frozen=True)
class Lease:
    """One entry in the sequence of a trial's owners."""

    number: int
    """The trial's."""
    turn: int
    """0 for the first owner."""
    path: Path
    who: ProcessIdentity | None
    """None where its file could not be read: it is being written, or its maker was killed in between."""
    deaths: int = 0
    """Owners before this one that died."""
    left: bool = False
    """Whether it let the trial go by itself."""
    requeued: bool = False
    """Whether it let go because its job waits to be started again."""


class Leases:
    """The leases of a study.

    Args:
        folder: of their files.
        me: this process.
        stale: seconds without a heartbeat after which a worker on another host is dead.
    """

    def __init__(self, folder: Path, me: ProcessIdentity, stale: float) -> None:
        self.folder, self.me, self.stale = folder, me, stale
        self._present = 0.0
        """The file system's time when `turns` was asked last."""

    @property
    def beats_every(self) -> float:
        """Seconds between two heartbeats."""
        return self.stale / BEATS

    def turns(self) -> dict[int, int]:
        """The last turn of every trial that anybody ever took, by number."""
        self._present = file_time(self.folder)
        last: dict[int, int] = {}
        for path in self.folder.iterdir():
            number, _, turn = path.name.partition(".")
            if number.isdigit() and turn.isdigit():
                last[int(number)] = max(int(turn), last.get(int(number), 0))
        return last

    def read(self, number: int, turn: int) -> Lease:
        """A turn of a trial, whatever can be read of it."""
        path = self._path(number, turn)
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            who = ProcessIdentity.of(told["who"])
            return Lease(number, turn, path, who, int(told["deaths"]), bool(told["left"]), bool(told["requeued"]))
        except (OSError, ValueError, KeyError, TypeError):
            # Each owner before this one may have died: so many at the most.
            return Lease(number, turn, path, None, deaths=turn)

    def take(self, number: int, last: Lease | None) -> Lease | None:
        """Become the owner of a trial after `last`; None if somebody else did.

        Raises:
            OSError: the folder cannot be written; nothing is left there.
        """
        turn = last.turn + 1 if last else 0
        deaths = last.deaths + (not last.left) if last else 0
        mine = Lease(number, turn, self._path(number, turn), self.me, deaths)
        try:
            file = mine.path.open("x", encoding="utf-8")
        except FileExistsError:
            return None
        try:
            with file:
                file.write(json.dumps(_told(mine)))
        except OSError:  # a full disk: a file that names nobody would keep the trial from everybody
            mine.path.unlink(missing_ok=True)
            raise
        return mine

    def holds(self, mine: Lease, surely: bool = True) -> bool:
        """Whether nobody has taken the trial over.

        Args:
            surely: have a network file system look again, instead of answering from what it remembers.
        """
        if surely:
            file_time(self.folder)
        return mine.path.exists() and not self._path(mine.number, mine.turn + 1).exists()

    def leave(self, mine: Lease) -> None:
        """Let go in an orderly way: no death, and nobody has to wait, unless `mine` says that its job is requeued."""
        write_json(mine.path, _told(mine) | {"left": True})

    def beat(self, mine: Lease, run: Path | None, study: str, first: bool = False) -> None:
        """Say that this worker lives.

        Args:
            run: the folder in which the trial is run; None before there is one.
            study: its name, for whoever finds the run's heartbeat.
            first: write into the run's folder who has it; later the file is only touched.
        """
        os.utime(mine.path)
        if run and first:
            told = {"study": study, "number": mine.number, "slurm_job": self.me.job}
            write_json(run / HEARTBEAT, asdict(self.me) | told)
        elif run:
            os.utime(run / HEARTBEAT)

    def liveness(self, last: Lease, run: Path | None) -> Liveness:
        """Whether the last owner of a trial that isn't finished will go on with it; as of when `turns` was asked.

        Args:
            run: the folder in which it runs the trial; None before there is one.
        """
        if not last.left and self._alive(last, run):
            return "alive"
        job = last.who.job if last.who else ""
        # A job that was started again finds its own trial: for itself it is not in the queue.
        if job and job != self.me.job and _queue.comes_back(job, last.requeued):
            return "queued"
        return "dead"

    def _alive(self, last: Lease, run: Path | None) -> bool:
        if last.who and last.who.place == self.me.place:
            return last.who.running
        if _age(last.path, self._present) <= self.stale:
            return True
        # Trials with the same values are one run: what is in its folder may be of another one's worker.
        beat = run / HEARTBEAT if run and run.is_dir() else None
        return beat is not None and _age(beat, file_time(beat.parent)) <= self.stale and _of(last, beat)

    def _path(self, number: int, turn: int) -> Path:
        return self.folder / f"{number}.{turn}"


def file_time(folder: Path) -> float:
    """The present in the file system's own time, in seconds: the clocks of hosts differ.

    The file that is made for it also makes a network file system's client ask again what the folder holds, instead of
    answering from what it saw up to a minute ago.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".probe-", dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _age(path: Path, present: float) -> float:
    """Seconds since a file was touched; infinite where there is none."""
    try:
        return present - path.stat().st_mtime
    except OSError:
        return math.inf


def _of(last: Lease, beat: Path) -> bool:
    """Whether a heartbeat in a run's folder is of this lease's process."""
    try:
        return ProcessIdentity.of(json.loads(beat.read_text(encoding="utf-8"))) == last.who
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _told(lease: Lease) -> dict[str, object]:
    return {
        "who": asdict(lease.who) if lease.who else None,
        "deaths": lease.deaths,
        "left": lease.left,
        "requeued": lease.requeued,
    }
