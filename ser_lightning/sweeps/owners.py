"""Who has a trial: files that each are made once, so that of any number who reach for a trial one gets it.

`owners/7.0` names the first process that took trial 7, `owners/7.1` who took it over, and so on: the last is its
owner. Only the exclusive creation of a file is relied on, which is exact on local file systems and on NFS from
version 3 on, needs no lock, and leaves nothing behind that would have to be broken when its maker is killed.
"""

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from ser_lightning.files import write_json
from ser_lightning.processes.identity import Identity


@dataclass(frozen=True)
class Owner:
    """One entry in the sequence of a trial's owners."""

    path: Path
    turn: int
    """0 for the first owner."""
    who: Identity | None
    """None where its file could not be read: it is being written, or its maker was killed in between."""
    deaths: int = 0
    """Owners before this one that died."""
    left: bool = False
    """Whether it let the trial go by itself."""
    requeued: bool = False
    """Whether it let go because its job waits to be started again."""


class Owners:
    """The folder of these files, as `me` sees it."""

    def __init__(self, folder: Path, me: Identity) -> None:
        self._folder, self.me = folder, me
        self.present = 0.0
        """The file system's time when `turns` was asked last."""

    def turns(self) -> dict[int, int]:
        """The last turn of every trial that anybody ever took, by number."""
        self.present = file_time(self._folder)
        last: dict[int, int] = {}
        for path in self._folder.iterdir():
            number, _, turn = path.name.partition(".")
            if number.isdigit() and turn.isdigit():
                last[int(number)] = max(int(turn), last.get(int(number), 0))
        return last

    def read(self, number: int, turn: int) -> Owner:
        path = self._path(number, turn)
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            who = Identity.of(told["who"])
            return Owner(path, turn, who, int(told["deaths"]), bool(told["left"]), bool(told["requeued"]))
        except (OSError, ValueError, KeyError, TypeError):
            # The turn bounds how often its owner changed, however little is known of the others.
            return Owner(path, turn, None, deaths=turn)

    def succeed(self, number: int, last: Owner | None) -> Owner | None:
        """Become the owner after `last`; None if somebody else did.

        Raises:
            OSError: the folder cannot be written; nothing is left there.
        """
        turn = last.turn + 1 if last else 0
        deaths = last.deaths + (not last.left) if last else 0
        mine = Owner(self._path(number, turn), turn, self.me, deaths)
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

    def holds(self, mine: Owner, surely: bool = True) -> bool:
        """Whether nobody has taken the trial over.

        Args:
            surely: whatever a network file system remembers of the folder.
        """
        if surely:
            file_time(self._folder)
        return mine.path.exists() and not mine.path.with_suffix(f".{mine.turn + 1}").exists()

    def leave(self, mine: Owner, requeued: bool) -> None:
        """Let go in an orderly way: no death, and nobody has to wait."""
        write_json(mine.path, _told(mine) | {"left": True, "requeued": requeued})

    def _path(self, number: int, turn: int) -> Path:
        return self._folder / f"{number}.{turn}"


def file_time(folder: Path) -> float:
    """The present in the file system's own time, in seconds: the clocks of hosts differ.

    The file that is made for it also makes a network file system's client ask again what the folder holds, instead of
    answering from what it saw up to a minute ago.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".probe-", dir=folder) as probe:
        return os.fstat(probe.fileno()).st_mtime


def _told(owner: Owner) -> dict[str, object]:
    return {
        "who": asdict(owner.who) if owner.who else None,
        "deaths": owner.deaths,
        "left": owner.left,
        "requeued": owner.requeued,
    }
