"""`ser runs list`, `show`, `remove`."""

import os
import shutil
from datetime import datetime
from pathlib import Path

from rich.table import Table

from ser_lightning.config.overrides import parse
from ser_lightning.config.schema import Config
from ser_lightning.console import answer, say
from ser_lightning.errors import ConfigError, UserError, in_words
from ser_lightning.files import MEND
from ser_lightning.processes.lock import owned, owner_of
from ser_lightning.runs import summary
from ser_lightning.runs.folder import RunFolder, runs_dir_of
from ser_lightning.runs.vault import PARTS
from ser_lightning.training.history import best_epoch, read_history


def list_runs(words: list[str]) -> list[RunFolder]:
    """Show a row a run, the latest first. The only override is `runs_dir=`.

    Raises:
        ConfigError: another word.
    """
    if unknown := {override.key for override in parse(words)} - {"runs_dir"}:
        raise ConfigError(f"ser runs list takes runs_dir=... and nothing else, not {', '.join(sorted(unknown))}")
    folder = Path(runs_dir_of(words))
    if os.path.lexists(folder) and not folder.is_dir():
        raise UserError(
            f"{folder} is no folder of runs, but a file or a link to nothing; name another with runs_dir=..."
        )
    runs = sorted(_runs(folder), key=_changed, reverse=True)
    if not runs:
        say(f"no runs under {folder}/")
        return []
    table = Table("run", "state", "epochs", "validation UAR", "test UAR", "labels", "last change")
    broken = {run.id: reason for run in runs if (reason := _add_row(table, run))}
    answer(table)
    for name, reason in broken.items():
        say(f"{name}: {reason}", style="yellow")
    return runs


def _runs(folder: Path) -> list[RunFolder]:
    """Folders of runs, and what is left of such: a link to one that is gone, a copy that was cut short."""
    entries = [path for path in folder.glob("*") if not path.name.startswith(".") and path.name != PARTS]
    return [RunFolder(path) for path in entries if (path.is_symlink() and not path.exists()) or _holds_run(path)]


def _holds_run(path: Path) -> bool:
    run = RunFolder(path)
    return any(file.is_file() for file in (run.config, run.result, run.metrics, run.attempt))


def _add_row(table: Table, run: RunFolder) -> str:
    """A run's row; of one that cannot be read the row says so, and why is returned."""
    try:
        table.add_row(*_row(run))
    except (UserError, OSError, ValueError, KeyError, TypeError) as error:
        table.add_row(run.id, "broken")
        reason = in_words(error) if isinstance(error, OSError) else str(error)
        return reason if isinstance(error, UserError | OSError) else f"{run.path} is broken ({reason}): {MEND}"
    return ""


def _row(run: RunFolder) -> tuple[str, ...]:
    if not run.path.exists():
        raise UserError(f"{run.path} is a link to {run.path.readlink()}, which is gone; `rm` it, or put that back")
    if not run.config.is_file():
        raise UserError(f"{run.path} has no {run.config.name}, as where it was not copied whole: {MEND}")
    result = run.read_result() if run.finished else {}
    epochs = str(len(read_history(run.metrics)))
    uars = (f"{result[part]['uar']:.3f}" if part in result else "" for part in ("validation", "test"))
    changed = datetime.fromtimestamp(_changed(run)).isoformat(" ", "minutes")
    return run.id, state(run), epochs, *uars, ", ".join(result.get("labels", [])), changed


def _changed(run: RunFolder) -> float:
    """When it was written last; a link that leads nowhere, when it was made."""
    files = [path for path in (run.config, run.metrics, run.result) if path.exists()]
    return max((path.stat().st_mtime for path in files), default=run.path.lstat().st_mtime)


def state(run: RunFolder) -> str:
    """finished; working, with whom; or unfinished."""
    if owner := owner_of(run.lock):
        return f"working: process {owner['pid']} on {owner['host']}"
    return "finished" if run.finished else "unfinished"


def show_run(run: RunFolder, config: Config) -> None:
    """A finished run's scores, or how far an unfinished one is."""
    if run.finished:
        summary.show(run)
        return
    rows = read_history(run.metrics)
    epochs = f", {len(rows)} of at most {config.training.max_epochs} epochs" if rows else ""
    answer(f"{run.id}: {state(run)}{epochs}")
    if rows:
        uars = [row["validation/uar"] or 0.0 for row in rows]
        answer(f"validation UAR: last {uars[-1]:.3f}, best {max(uars):.3f} in epoch {best_epoch(rows)}")
    answer(f"log: {run.log}")


def remove_run(run: RunFolder, config: Config) -> None:
    """Remove a run's folder; one that is worked on is refused. Started again it is a new attempt.

    Raises:
        UserError: a process is working on it.
    """
    place = run.path.resolve()  # of a run that is linked, where it lies
    with owned(run.lock):
        # Renamed first, so that an interruption leaves no folder that looks like a run.
        gone = place.with_name(f".{place.name}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        place.rename(gone)
        if run.path.is_symlink():
            run.path.unlink()
    shutil.rmtree(gone)
    say(f"removed {run.path}" + (f" and {place}, to which it was a link" if place != run.path else ""))
