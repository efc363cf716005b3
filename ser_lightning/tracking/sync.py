"""`ser sync`: upload what W&B logged offline, or lost online, each run's segments in their order, once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from rich.table import Table

from ser_lightning.config.settings import names_and
from ser_lightning.console import answer, say, track
from ser_lightning.errors import UserError
from ser_lightning.processes.lock import TakenError, owned, owner_of
from ser_lightning.tracking.segments import FOLDERS, Segment, segments
from ser_lightning.tracking.upload import upload

LOCKS = (".lock", ".tracking.lock")
"""Whose owner may be writing into a folder's `wandb`: of a run or a cross-validation, and of a study."""


@dataclass(frozen=True)
class Sync:
    """Settings of `ser sync`."""

    runs_dir: str = "runs"
    """Folder of the runs."""
    crossval_dir: str = "crossval"
    """Folder of the cross-validations."""
    studies_dir: str = "studies"
    """Folder of the studies."""
    fusions_dir: str = "fusions"
    """Folder of the fusions."""
    seconds: float = 600.0
    """Time that one segment may take; one that takes longer has failed and is tried again the next time."""

    @property
    def folders(self) -> list[Path]:
        return [Path(one) for one in (self.runs_dir, self.crossval_dir, self.studies_dir, self.fusions_dir)]


@dataclass
class Uploads:
    """What became of a run's segments."""

    id: str
    segments: int
    uploaded: int = 0
    skipped: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)


def sync(words: Sequence[str]) -> list[Uploads]:
    """Upload the segments of runs, studies, cross-validations or folders, of all where none is named.

    A study or a cross-validation comes with its runs. What is being written is left for the next time, as is what
    follows a segment that failed.

    Raises:
        ConfigError: an unknown setting.
        UserError: there is nothing of a name, the server can't be talked to, or a segment did not arrive.
    """
    names, settings = names_and(Sync, words)
    folders = _named(names, settings) if names else _below(settings.folders)
    outcomes: list[Uploads] = []
    try:
        for folder in track(folders, "uploading", len(folders)):
            _sync(folder, settings.seconds, outcomes)
    finally:
        _show(outcomes)
    if not folders:
        say("nothing was logged offline here")
    if failed := sum(one.failed for one in outcomes):
        raise UserError(f"{failed} segments are not, or not wholly, in W&B; start `ser sync` again to retry them")
    return outcomes


def _below(folders: Sequence[Path]) -> list[Path]:
    """Folders at or below `folders` in which something was logged."""
    return sorted({path.parent.parent for folder in folders for path in folder.glob(f"**/{FOLDERS}")})


def _named(names: Sequence[str], settings: Sync) -> list[Path]:
    found: list[Path] = []
    for name in names:
        places = [Path(name), *(folder / name for folder in settings.folders)]
        folder = next((place for place in places if place.is_dir()), None)
        if folder is None:
            raise UserError(f"{name}: no such folder, nor a run, study or cross-validation of this name here")
        found += [*_below([folder]), *_members(folder, Path(settings.runs_dir))]
    return list(dict.fromkeys(found))


def _members(folder: Path, runs_dir: Path) -> Iterator[Path]:
    """Runs of the study or cross-validation at `folder`, which W&B shows as one group."""
    own = [one.opened for path in _below([folder]) for one in segments(path)]
    groups = {folder.resolve().name, *(run.run_group for run in own if run and run.job_type == "summary")}
    for path in _below([runs_dir]):
        if any(one.opened and one.opened.run_group in groups for one in segments(path)):
            yield path


def _sync(folder: Path, seconds: float, outcomes: list[Uploads]) -> None:
    """Upload what a folder has, run by run; `outcomes` grows by what is known, also where an error ends it."""
    by_run = sorted(segments(folder), key=lambda one: (one.id, one.order))
    for identity, group in groupby(by_run, key=lambda one: one.id):
        mine = list(group)
        outcomes.append(outcome := Uploads(identity, len(mine)))
        try:
            with owned(folder / "wandb" / ".sync.lock"):
                _upload_all(mine, folder, outcome, seconds)
        except TakenError:
            outcome.skipped, outcome.reasons = len(mine), ["another `ser sync` is uploading it"]


def _upload_all(mine: Sequence[Segment], folder: Path, outcome: Uploads, seconds: float) -> None:
    for number, segment in enumerate(mine):
        if segment.synced.exists():
            outcome.skipped += 1
        elif working := _working(folder):
            outcome.skipped += len(mine) - number
            outcome.reasons.append(working)
            return
        elif segment.opened is None:
            outcome.skipped += 1
            outcome.reasons.append(f"{segment.path.name} is empty: killed before wandb had written anything")
        elif not _arrived(segment, outcome, seconds):
            # Later ones would take the step numbers that belong to this one.
            outcome.failed += len(mine) - number
            return


def _arrived(segment: Segment, outcome: Uploads, seconds: float) -> bool:
    try:
        arrived, said = upload(segment, seconds)
    except BaseException:
        outcome.reasons.append("not finished")
        raise
    outcome.uploaded += arrived
    outcome.reasons += [said] if said else []
    return arrived


def _working(folder: Path) -> str:
    """Who is writing there, and what to do if that isn't so; empty where nobody is."""
    for lock in LOCKS:
        if owner := owner_of(folder / lock):
            where = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
            return f"being written by {where}; remove {folder / lock} if that process is gone"
    return ""


def _show(outcomes: Sequence[Uploads]) -> None:
    if not outcomes:
        return
    table = Table("run", "segments", "uploaded", "skipped", "failed")
    for one in outcomes:
        table.add_row(one.id, *map(str, (one.segments, one.uploaded, one.skipped, one.failed)))
    answer(table)
    for one in outcomes:
        for reason in one.reasons:  # below the table, where a long one is not broken up
            say(f"{one.id}: {reason}", style="yellow")
