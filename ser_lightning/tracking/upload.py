"""Uploading one segment, and finding out whether all of it arrived, which wandb's exit code does not tell."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ser_lightning.errors import UserError
from ser_lightning.tracking.environment import DECIDED
from ser_lightning.tracking.segments import Segment
from ser_lightning.tracking.server import PRIVATE, key_error, unanswered

NAMED = 3
"""Files that are named when the server refused some."""
NOT_TOLD = DECIDED | {"WANDB_SERVICE"}
"""The segment says itself whose it is; and the service of a run in this process is not its."""
GONE = "no such file or directory"
"""Artifacts wait for their upload under a path that wandb keeps as an absolute one."""
CUT = "incomplete transaction log"
"""What wandb says of a segment that ends within a record."""


class ServerError(UserError):
    """The server can't be talked to at all, so that nothing else will arrive there either."""


def upload(segment: Segment, seconds: float) -> tuple[bool, str]:
    """Upload a segment into its run; returns whether all there is of it arrived, and what has to be said.

    wandb marks a segment as uploaded although files were refused or its history was not taken; the mark is then
    removed, so that the next upload sends it again, under the same step numbers. It does not mark one whose writing
    was cut short, which would hold up those after it for ever; here it is marked.

    Args:
        seconds: for all of the segment.

    Raises:
        ServerError: there is no key, the server does not know it, or it does not answer.
    """
    if reason := unanswered():
        raise ServerError(f"W&B: {reason}; start `ser sync` again where it can be reached, or set WANDB_BASE_URL")
    with tempfile.TemporaryDirectory(prefix="ser-sync-") as scratch:
        said, late = _wandb_sync(segment, scratch, seconds)
        errors = list(_errors(Path(scratch).glob("wandb/logs/debug-sync*.log")))
    whole = [one for one in errors if CUT not in str(one.get("msg"))]
    reason = f"not done after {seconds:g} s" if late else _lost(whole)
    if errors and not whole and not late:
        segment.synced.touch()
        return True, f"{segment.path.name} was cut short; what there is of it was uploaded"
    if not reason and not segment.synced.exists():
        reason = _last_words(said)
    if reason:
        segment.synced.unlink(missing_ok=True)
    if known := key_error(f"{said}\n{reason}"):
        raise ServerError(f"W&B: {known}, then start `ser sync` again")
    return not reason, reason


def lost_online(segment: Segment) -> str:
    """What of a segment that was sent while it was written did not arrive, in a line; empty where all of it did.

    wandb's `finish` succeeds although files were refused, its history was not taken, or its time was over.
    """
    return _lost(list(_errors([segment.path / "logs" / "debug-internal.log"])))


def _wandb_sync(segment: Segment, scratch: str, seconds: float) -> tuple[str, bool]:
    """What `wandb sync` said, and whether it had to be ended; its log is left under `scratch`."""
    told = {"WANDB_DIR": scratch, "WANDB_MODE": "online", "WANDB_SILENT": "false"}
    environment = PRIVATE | {name: text for name, text in os.environ.items() if name not in NOT_TOLD} | told
    command = [sys.executable, "-m", "wandb", "sync", "--no-skip-online", str(segment.path.absolute())]
    # A session of its own: wandb's service is a child that would outlive it.
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=seconds)[0], False
    except subprocess.TimeoutExpired:
        return "", True
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _errors(logs: Iterable[Path]) -> Iterator[Mapping[str, Any]]:
    """Entries of wandb's logs that say that something was lost; what was tried again with success is none."""
    for log in logs:
        for line in log.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):
                entry = json.loads(line)
                if str(entry.get("level", "")).startswith("ERROR"):
                    yield entry


def _lost(found: Sequence[Mapping[str, Any]]) -> str:
    """What of the segment did not arrive, in a line."""
    statuses = dict.fromkeys(str(entry["status"]) for entry in found if "status" in entry)
    answer = f"the server answered {', '.join(statuses)}" if statuses else ""
    if files := sorted({name[1] for e in found if (name := re.search(r"Name: ([^,]+),", e.get("task", "")))}):
        more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
        return f"lost {', '.join(files[:NAMED])}{more}: {answer or _text(found[0])}"
    told = [_text(entry) for entry in found if "status" not in entry]
    reason = (told or [answer])[0] if found else ""
    moved = "; if the run was moved since, upload it where it was, or put a link there" if GONE in reason else ""
    return reason + moved


def _text(entry: Mapping[str, Any]) -> str:
    return " ".join(" ".join(str(entry[key]) for key in ("msg", "error") if entry.get(key)).split())


def _last_words(said: str) -> str:
    lines = [line.removeprefix("wandb: ").removeprefix("ERROR ") for line in said.splitlines() if line.strip()]
    return lines[-1] if lines else "wandb ended without a word"
