"""`ser runs list`, `show`, `remove`."""

import shutil
from datetime import datetime
from pathlib import Path

from rich.table import Table

from ser_lightning.config.overrides import parse
from ser_lightning.config.schema import Config
from ser_lightning.console import console
from ser_lightning.errors import ConfigError
from ser_lightning.runs import summary
from ser_lightning.runs.folder import RunFolder, runs_dir_of
from ser_lightning.runs.lock import owned, owner_of
from ser_lightning.training.history import read_history


def list_runs(words: list[str]) -> list[RunFolder]:
    """Show a row a run, the latest first. The only override is `runs_dir=`.

    Raises:
        ConfigError: another word.
    """
    if unknown := {override.key for override in parse(words)} - {"runs_dir"}:
        raise ConfigError(f"ser runs list takes runs_dir=... and nothing else, not {', '.join(sorted(unknown))}")
    folder = Path(runs_dir_of(words))
    runs = sorted((RunFolder(path.parent) for path in folder.glob("*/config.yaml")), key=_changed, reverse=True)
    if not runs:
        console.print(f"no runs under {folder}/")
        return []
    table = Table("run", "state", "epochs", "validation UAR", "test UAR", "labels", "last change")
    for run in runs:
        table.add_row(*_row(run))
    console.print(table)
    return runs


def _row(run: RunFolder) -> tuple[str, ...]:
    result = run.read_result() if run.finished else {}
    epochs = str(len(read_history(run.metrics)))
    uars = (f"{result[part]['uar']:.3f}" if part in result else "" for part in ("validation", "test"))
    changed = datetime.fromtimestamp(_changed(run)).isoformat(" ", "minutes")
    return run.id, state(run), epochs, *uars, ", ".join(result.get("labels", [])), changed


def _changed(run: RunFolder) -> float:
    return max(path.stat().st_mtime for path in (run.config, run.metrics, run.result) if path.exists())


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
    console.print(f"{run.id}: {state(run)}{epochs}", soft_wrap=True)
    if rows:
        uars = [row["validation/uar"] or 0.0 for row in rows]
        console.print(f"validation UAR: last {uars[-1]:.3f}, best {max(uars):.3f} in epoch {uars.index(max(uars))}")
    console.print(f"log: {run.log}", soft_wrap=True)


def remove_run(run: RunFolder, config: Config) -> None:
    """Remove a run's folder; one that is worked on is refused. Started again it is a new attempt.

    Raises:
        UserError: a process is working on it.
    """
    with owned(run.lock):
        # Renamed first, so that an interruption leaves no folder that looks like a run.
        gone = run.path.with_name(f".{run.id}.removed")
        shutil.rmtree(gone, ignore_errors=True)
        run.path.rename(gone)
    shutil.rmtree(gone)
    console.print(f"removed {run.path}", soft_wrap=True)
