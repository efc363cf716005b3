"""Where ranks that srun started meet: a file in which the first says that all is prepared, and how to reach it."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.files import write_json
from ser_lightning.processes.scheduler import Allocation
from ser_lightning.waiting import Waiting

BEAT, SILENCE = 30.0, 900.0
"""Seconds between two signs of life of the first rank, and without one after which the others give up."""
OLD = 24 * 3600
"""Seconds after which a meeting's file is removed by whoever makes the next."""
PREPARING, READY, OVER, FAILED = "preparing", "ready", "over", "failed"


class Meeting:
    """One of a job's step and restart, under the folder of the runs, which all nodes see."""

    def __init__(self, runs_dir: str, here: Allocation) -> None:
        self.here = here
        self.path = Path(runs_dir) / ".ranks" / f"{here.job}.{here.step}.{here.restarts}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """By the first rank: when it fails, the others learn why."""
        for other in self.path.parent.glob("*.json"):
            with suppress(OSError):
                if other.stat().st_mtime < time.time() - OLD:
                    other.unlink()
        self._tell(PREPARING)
        ended = threading.Event()
        threading.Thread(target=self._live, args=(ended,), daemon=True).start()
        try:
            yield
        except BaseException as error:
            self._tell(FAILED, reason=str(error) or type(error).__name__)
            raise
        finally:
            ended.set()

    def _live(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT):
            with suppress(OSError):
                os.utime(self.path)

    def call(self, run: Path) -> tuple[str, int]:
        """By the first rank, when the others may begin: the address and port that it will listen on."""
        port = free_port()
        self._tell(READY, run=str(run.absolute()), address=self.here.host, port=port)
        return self.here.host, port

    def over(self, run: Path) -> None:
        """By the first rank: the run is finished."""
        self._tell(OVER, run=str(run.absolute()))

    def wait(self, *states: str) -> dict[str, Any]:
        """By the others: what the first rank said last, once it is in one of `states`.

        Raises:
            UserError: it failed, or gives no sign of life.
        """
        waiting, seen = Waiting(SILENCE), 0
        while True:
            told, stamp = self._read()
            if stamp != seen:
                waiting.sign()
                seen = stamp
            if told["state"] == FAILED:
                raise UserError(f"the first rank, on {told['host']}, ended: {told['reason']}")
            if told["state"] in states:
                return told
            where = f", on {told['host']}, which is {told['state']}" if "host" in told else ""
            waiting.still(f"a sign of the first rank{where} in {self.path}")
            time.sleep(0.5)

    def _read(self) -> tuple[dict[str, Any], int]:
        """What it said, and the time (ns) of its last sign of life."""
        # Listing the folder makes a network file system look for what it remembers as absent.
        if self.path.name not in {path.name for path in self.path.parent.glob("*.json")}:
            return {"state": ""}, 0
        return json.loads(self.path.read_text(encoding="utf-8")), self.path.stat().st_mtime_ns

    def _tell(self, state: str, **more: object) -> None:
        write_json(self.path, {"state": state, "host": self.here.host, **more})


def free_port() -> int:
    """A port that nobody uses now, so that two trainings on a host don't meet."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])
