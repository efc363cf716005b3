"""Opening and closing a W&B run so that no trouble of its server, its key or its disk costs a training."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Event, Timer
from typing import Any

from ser_lightning.console import say as say_line
from ser_lightning.tracking.segments import FOLDERS, Segment, segments
from ser_lightning.tracking.server import key_error, unanswered
from ser_lightning.tracking.upload import ServerError, lost_online, upload

CATCH_UP = 60.0
"""Seconds for the upload of what earlier starts of a run left."""
GRACE = 20.0
"""Seconds beyond wandb's own limit, in which it writes its log to the disk: it does so every 15 s or so."""
FLUSHED = 5.0
"""Seconds for the end of a log to be on the disk."""


def opened(init: Callable[..., Any], mode: str, folder: Path, identity: str, delay: float) -> Any | None:
    """W&B's run, opened by `init(mode=...)`: offline where online can't be had, and None where that can't either.

    Args:
        init: wandb's, with all but the mode.
        folder: of the run, with what its earlier starts logged.
        identity: W&B's id of the run.
        delay: seconds to wait for others, which start at the same time, before the server is asked.
    """
    if mode == "online":
        if delay:
            say(f"starts {delay:.1f} s later, because many tasks that start at once are too many for its server")
            time.sleep(delay)
        before = set(folder.glob(FOLDERS))
        try:
            reason = unanswered() or _catch_up(folder, identity)
            if not reason:
                return _sure(init(mode="online"))
        except Exception as error:
            reason = key_error(str(error)) or line(error)
            with suppress(Exception):
                _forget(set(folder.glob(FOLDERS)) - before)
        say(f"{reason}; logging offline, upload later with `ser sync`")
    try:
        return init(mode="offline")
    except Exception as error:
        say(f"{line(error)}; nothing is logged there by this process, the work goes on")
        return None


def _sure(run: Any) -> Any:
    """Ask now what wandb would ask the server when an artifact is logged, where no answer is an error."""
    with suppress(Exception):
        run._public_api()  # signs in, once
    run._assert_can_log_artifact = lambda artifact: None  # whether its name has another type already
    return run


def finish(run: Any, code: int) -> None:
    """End a run in little more than wandb's limit, to which it does not hold itself where artifacts are refused.

    Raises:
        TimeoutError: that was not enough; what was not sent is kept.
    """
    limit, late = run.settings.finish_timeout + GRACE, Event()
    timer = Timer(limit, _kill_service, (late,))
    timer.daemon = True
    if run.settings.finish_timeout:  # 0, which somebody has asked for, is to wait for ever
        timer.start()
    try:
        run.finish(exit_code=code)
    except Exception:
        if not late.is_set():
            raise
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeoutError(f"its server has not taken all within {limit:g} s; upload it later with `ser sync`")


def _kill_service(late: Event) -> None:
    """End wandb's own process, on which whoever waits for the server waits."""
    from wandb.sdk import wandb_setup

    late.set()
    connection = wandb_setup.singleton()._connection
    if connection and connection._proc:
        connection._proc._process.kill()


def closed(run: Any) -> None:
    """Mark what all arrived, so that it is not uploaded again; say what did not, and what a full disk cut short."""
    segment = Segment(Path(run.settings.sync_dir))
    try:
        if segment.online and (reason := lost_online(segment)):
            say(f"{reason}; it is kept, upload it later with `ser sync`")
        elif segment.online:
            segment.synced.touch()
        elif not _ends(segment):
            say(f"{segment.log} was cut short, as by a full disk; metrics.csv and result.json have the figures")
    except Exception as error:
        say(f"{line(error)}; the work goes on")


def _ends(segment: Segment) -> bool:
    """Whether its log has its end, which wandb writes when `finish` has returned."""
    deadline = time.monotonic() + FLUSHED
    while not segment.ended:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def say(text: str) -> None:
    say_line(f"W&B: {text}", style="yellow")


def _catch_up(folder: Path, identity: str) -> str:
    """Upload what earlier starts left; why that isn't possible, or empty.

    This start would otherwise take the step numbers that belong to what they left.
    """
    deadline = time.monotonic() + CATCH_UP
    for segment in segments(folder):
        if segment.id != identity or not segment.waits:
            continue
        try:
            arrived, said = upload(segment, max(1.0, deadline - time.monotonic()))
        except ServerError as error:
            return str(error).removeprefix("W&B: ")
        if not arrived:
            return f"{segment.path.name}, of an earlier start, is not uploaded: {said}"
    return ""


def _forget(failed: set[Path]) -> None:
    """Segments of a run that could not be opened: uploaded, they would count as a start that failed."""
    import wandb

    wandb.teardown()  # its service would refuse to open a run of the same id
    for path in failed:
        Segment(path).synced.touch()


def line(error: Exception) -> str:
    """An error in a line, without the advice that follows below."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
