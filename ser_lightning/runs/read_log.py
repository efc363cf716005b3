"""`ser logs`: what all processes of a run said, as one log, and why it ended."""

import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ser_lightning.config.settings import names_and
from ser_lightning.errors import ConfigError
from ser_lightning.processes.launcher import BEGUN
from ser_lightning.runs.folder import RunFolder, open_run
from ser_lightning.runs.manage import state
from ser_lightning.runs.settings import Logs

TICK = 0.5
BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
RECORD = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) [A-Z]+ (.*)")
"""A line of run.log: local time, milliseconds, what was said."""
BEGIN = re.compile(rf"{BEGUN} .*, (\S+)$")


@dataclass
class _Log:
    """One process's log, read as far as its lines are whole; a line without a time has that of the one before."""

    path: Path
    prefix: str
    read: int = 0
    last: datetime = BEFORE_ALL

    def more(self) -> Iterator[tuple[datetime, str]]:
        """Times and lines since it was last asked."""
        with self.path.open("rb") as file:
            file.seek(self.read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self.read += len(whole)
        for line in whole.decode("utf-8", errors="replace").splitlines():
            self.last = max(self.last, _time(line) or self.last)
            if line:
                yield self.last, self.prefix + line


def logs(words: Sequence[str]) -> RunFolder:
    """Print a run's log to standard output; the last line says how the run stands, or why it ended.

    Raises:
        ConfigError: no run is named, or several, or an unknown setting.
        UserError: there is no such run.
    """
    names, settings = names_and(Logs, words)
    if len(names) != 1:
        raise ConfigError("ser logs: name one run, by its folder or by its id, before the settings")
    run, _ = open_run(names[0], [f"runs_dir={settings.runs_dir}"])
    try:
        for line in lines(run, settings.follow):
            print(line, flush=settings.follow)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has seen enough; what is still to be flushed must not say so once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return run


def lines(run: RunFolder, follow: bool = False) -> Iterator[str]:
    """All logs of a run in one order of time, and how the run stands at the end.

    What a rank of several said begins with `[rank N]`, what the process of a trial said with `[trial N]`.
    """
    known: dict[Path, _Log] = {}
    while True:
        working = _working(run)  # asked before reading, so that what is said until then is read
        yield from _merged(run, known)
        if not (follow and working):
            break
        time.sleep(TICK)
    yield f"--- {reason(run)}"


def reason(run: RunFolder) -> str:
    """How a run stands: finished, worked on by whom, or why it ended."""
    if _working(run):
        return state(run)
    last = _last_record(run.log)
    if last.startswith("ended: "):
        return last
    if run.finished:
        result = run.read_result()
        parts = [part for part in ("validation", "test") if part in result]
        return "finished: " + ", ".join(f"{part} UAR {result[part]['uar']:.3f}" for part in parts)
    return (
        "ended without a word: killed, or its node was lost; start the same command again to go on"
        if last
        else "nothing was logged yet"
    )


def _working(run: RunFolder) -> bool:
    return state(run).startswith("working")


def _merged(run: RunFolder, known: dict[Path, _Log]) -> Iterator[str]:
    """What is new in all logs; those of ranks and of trials may come to be at any time."""
    of_many = {path: f"[{kind} {number}] " for kind in ("rank", "trial") for number, path in _numbered(run, kind)}
    for path, prefix in {run.log: "", run.process_log: "", **of_many}.items():
        if path.exists() and path not in known:
            known[path] = _Log(path, prefix)
    found = [line for log in known.values() for line in log.more()]
    yield from (text for _, text in sorted(found, key=lambda line: line[0]))


def _numbered(run: RunFolder, kind: str) -> list[tuple[int, Path]]:
    """Logs of processes of a kind by number, in its order."""
    found = ((path.stem.removeprefix(kind), path) for path in (run.path / "logs").glob(f"{kind}*.log"))
    return sorted((int(number), path) for number, path in found if number.isdigit())


def _last_record(log: Path) -> str:
    """The last record of run.log with all its lines; nothing where there is none."""
    record: list[str] = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []:
        found = RECORD.match(line)
        record = [found[3]] if found else [*record, line]
    return "\n".join(record).rstrip()


def _time(line: str) -> datetime | None:
    if found := RECORD.match(line):
        return datetime.fromisoformat(f"{found[1]}.{found[2]}").astimezone()
    if found := BEGIN.match(line):
        return datetime.fromisoformat(found[1])
    return None
